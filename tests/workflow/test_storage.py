"""What is read out of the bucket before any job: a file, nothing where there is none, and an error that is named."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config
from snakemake.exceptions import WorkflowError

from tests.cloud.bucket import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, ObjectStorage
from tests.snakemake_runner import ROOT

EPOCHS = "results/small/inventory/epochs.json"


@pytest.fixture
def storage():
    with ObjectStorage() as server:
        server.client.create_bucket(Bucket=BUCKET)
        server.client.put_object(Bucket=BUCKET, Key=f"runs/{EPOCHS}", Body=b"{}")
        yield server


@pytest.fixture
def reading(storage, monkeypatch):
    """Makes the workflow's own function for a bucket and a key of access."""
    plugin = SimpleNamespace(StorageObject=type("StorageObject", (), {"size": None}))
    monkeypatch.setitem(sys.modules, "snakemake_storage_plugin_s3", plugin)

    def make(access_key=ACCESS_KEY, endpoint=storage.endpoint):
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=access_key,
            aws_secret_access_key=SECRET_KEY, config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        provider = SimpleNamespace(
            s3c=SimpleNamespace(meta=SimpleNamespace(client=client)), settings=SimpleNamespace(endpoint_url=endpoint)
        )
        workflow = SimpleNamespace(
            storage_settings=SimpleNamespace(
                default_storage_provider="s3", default_storage_prefix=f"s3://{BUCKET}/runs"
            ),
            storage_registry=SimpleNamespace(default_storage_provider=provider),
            is_main_process=False,
        )
        names = {"workflow": workflow}
        exec((ROOT / "workflow" / "rules" / "storage.smk").read_text(), names)
        return names["read_from_run"]

    return make


def test_a_file_is_read_and_one_that_is_not_there_is_empty(reading):
    assert reading()(EPOCHS) == "{}"
    assert reading()("results/night/inventory/epochs.json") == ""


def test_a_bucket_that_is_not_made_yet_holds_nothing(reading, storage):
    storage.client.delete_object(Bucket=BUCKET, Key=f"runs/{EPOCHS}")
    storage.client.delete_bucket(Bucket=BUCKET)
    assert reading()(EPOCHS) == ""


def test_a_refusal_is_no_absence(reading):
    with pytest.raises(WorkflowError, match=rf"does not give 'runs/{EPOCHS}' of bucket .*InvalidAccessKeyId"):
        reading(access_key="AKIAANOTHERKEY")(EPOCHS)


def test_a_storage_that_does_not_answer_is_named(reading):
    with pytest.raises(WorkflowError, match=r"object storage at http://127\.0\.0\.1:9 does not give .* endpoint and"):
        reading(endpoint="http://127.0.0.1:9")(EPOCHS)
