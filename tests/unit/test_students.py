import pytest

from pickflow.run.configuration import ConfigError
from pickflow.run.grid import Candidate
from pickflow.run.students import Student, is_student, level_name, read_student, resolve_students, student_names

TEACHERS = [Candidate("PhaseNet", "original"), Candidate("PhaseNet", "stead"), Candidate("EQTransformer", "original")]


def section(target, **changes):
    return {"target": target, "methods": ["safe"], "int8": False, "teachers": [], **changes}


@pytest.mark.parametrize(
    ("target", "level"),
    [
        ({"macs": 0.07}, "s93"),
        ({"macs": 0.075}, "s92.5"),
        ({"macs": 0.95}, "s05"),
        ({"macs": 0.3}, "s70"),
        ({"macs": 0.00001}, "s99.999"),
        ({"parameters": 0.12}, "p88"),
        ({"max_f1_loss": 0.01}, "f0.01"),
        ({"max_f1_loss": 0.1}, "f0.1"),
        ({"macs": 0.07, "parameters": 0.12}, "s93p88"),
        ({"parameters": 0.125, "macs": 0.07}, "s93p87.5"),
    ],
)
def test_a_level_is_named_after_what_it_removes_and_says_so_when_read_again(target, level):
    assert level_name(target) == level
    assert student_names(section(target)) == [f"safe-{level}"]
    assert read_student(f"safe-{level}") == Student("safe", tuple(sorted(target.items())), False)
    assert read_student(f"safe-{level}").level == level


def test_every_share_of_four_digits_survives_its_name():
    for share in range(1, 10_000):
        value = share / 10_000
        name = f"magnitude-{level_name({'macs': value})}-int8"
        assert read_student(name) == Student("magnitude", (("macs", value),), True)


def test_methods_targets_and_integers_multiply():
    params = section([{"macs": 0.5}, {"parameters": 0.12}], methods=["safe", "magnitude"], int8=True)
    assert student_names(params) == [
        "safe-s50", "safe-s50-int8", "safe-p88", "safe-p88-int8",
        "magnitude-s50", "magnitude-s50-int8", "magnitude-p88", "magnitude-p88-int8",
    ]  # fmt: skip


def test_without_a_target_there_are_no_students():
    assert student_names(section(None)) == student_names(section([])) == []
    assert resolve_students(section(None, teachers=["nothing"]), [Candidate("GPD", "original")]) == {}


def test_every_picker_is_a_teacher_unless_patterns_say_which():
    names = {
        str(teacher): [str(student) for student in students]
        for teacher, students in resolve(section({"macs": 0.07})).items()
    }
    assert names == {
        "PhaseNet/original": ["PhaseNet/original-safe-s93"],
        "PhaseNet/stead": ["PhaseNet/stead-safe-s93"],
        "EQTransformer/original": ["EQTransformer/original-safe-s93"],
    }
    assert list(resolve(section({"macs": 0.07}, teachers=["PhaseNet/*"]))) == TEACHERS[:2]
    assert list(resolve(section({"macs": 0.07}, teachers=["*/original"]))) == [TEACHERS[0], TEACHERS[2]]


def resolve(params, candidates=TEACHERS):
    return resolve_students(params, candidates)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"macs": 0.07, "max_f1_loss": 0.1}, r"compress.target: max_f1_loss finds its own size and stands alone"),
        ([0.07], r"compress.target: 0.07 does not say what a student must keep, such as {macs: 0.07}"),
        ([{}], r"compress.target: {} does not say what a student must keep"),
        ({"flops": 0.07}, r"compress.target: 'flops' is not known; it is one of macs, parameters, max_f1_loss"),
        ({"macs": 93}, r"compress.target.macs: 93 does not lie between 0 and 1 .*; it is the share of macs"),
        ({"macs": 0}, r"compress.target.macs: 0 does not lie"),
        ({"macs": 1.0}, r"compress.target.macs: 1.0 does not lie"),
        ({"macs": float("nan")}, r"compress.target.macs: nan does not lie"),
        ({"macs": True}, r"compress.target.macs: True does not lie"),
        ({"max_f1_loss": "little"}, r"compress.target.max_f1_loss: 'little' .*; it is the loss of F1"),
        ([{"macs": 0.5}, {"macs": 0.50}], r"compress.target: s50 is asked for twice"),
    ],
)
def test_targets_that_mean_nothing_are_named_with_the_way_out(target, message):
    with pytest.raises(ConfigError, match=message):
        student_names(section(target))


@pytest.mark.parametrize(
    ("candidates", "teachers", "message"),
    [
        (TEACHERS, ["EQT/*"], r"compress.teachers: no picker of the run fits 'EQT/\*'; it has PhaseNet/original, "),
        ([Candidate("GPD", "original")], [], r"compress.teachers: GPD/original cannot be compressed, only PhaseNet, "),
        ([Candidate("PhaseNet", "stead-safe-s93")], [], r"stead-safe-s93 is a student itself .* in compress.teachers"),
        ([Candidate("PhaseNet", "x-magnitude-p88.5-int8")], [], r"is a student itself"),
        (
            [*TEACHERS, Candidate("PhaseNet", "stead-safe-s93")],
            ["PhaseNet/stead"],
            r"pick.weights: PhaseNet/stead-safe-s93 would also be a student of PhaseNet/stead",
        ),
    ],
)
def test_teachers_that_cannot_teach_are_named_with_the_way_out(candidates, teachers, message):
    with pytest.raises(ConfigError, match=message):
        resolve_students(section({"macs": 0.07}, teachers=teachers), candidates)


def test_a_name_that_is_no_student_is_refused():
    assert not is_student("original_converted")
    assert not is_student("safe-s93")
    with pytest.raises(ValueError, match="student 'safe-93' is not METHOD-LEVEL"):
        read_student("safe-93")
