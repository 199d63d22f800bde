"""Object storage between jobs that share no files: what its plugin gets wrong, and what pods see of a configuration."""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from pickflow.secrets import redact

PROVIDER = workflow.storage_settings.default_storage_provider
IN_BUCKET = PROVIDER == "s3"
# What S3 answers where there is no such object; its bucket is made with the first one that is stored.
ABSENCE = ("404", "NoSuchBucket", "NoSuchKey")


def is_folder(storage_object):
    """Whether there is something below the key; the plugin remembers a no from before the folder was made."""
    return any(storage_object.get_subkeys())


def size(storage_object):
    """Size in bytes: of the local copy if there is one, because `ensure` asks for it before an output is stored."""
    copy = storage_object.local_path()
    return copy.stat().st_size if copy.is_file() else SIZE_IN_STORAGE(storage_object)


if IN_BUCKET:
    plugin = sys.modules["snakemake_storage_plugin_s3"].StorageObject
    SIZE_IN_STORAGE, plugin.size, plugin.is_dir = plugin.size, size, is_folder


def code_of(error):
    """The storage's own name of an error; None for one on the way to it."""
    return getattr(error, "response", {}).get("Error", {}).get("Code")


def storage_error(failure, error):
    """An error that names the storage, what it fails to do, why, and where to look."""
    endpoint = workflow.storage_registry.default_storage_provider.settings.endpoint_url
    return WorkflowError(
        f"the object storage at {redact(str(endpoint))} {failure} ({redact(str(error))}): look at the keys in"
        " SNAKEMAKE_STORAGE_S3_ACCESS_KEY and SNAKEMAKE_STORAGE_S3_SECRET_KEY, and at endpoint and bucket in the profile"
    )


def ask_for_bucket():
    """
    Ask for the bucket once: wrong keys are then one sentence.

    Raises
    ------
    WorkflowError
        If there are no keys for the pods, or the storage does not answer, or refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    provider = workflow.storage_registry.default_storage_provider
    if not (provider.settings.access_key and provider.settings.secret_key):
        raise WorkflowError(
            "there are no keys of the bucket: export SNAKEMAKE_STORAGE_S3_ACCESS_KEY and SNAKEMAKE_STORAGE_S3_SECRET_KEY"
        )
    bucket = workflow.storage_settings.default_storage_prefix.removeprefix("s3://").split("/")[0]
    try:
        provider.s3c.meta.client.head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        if code_of(error) not in ABSENCE:
            raise storage_error(f"does not open bucket {bucket!r}", error) from None


if IN_BUCKET and workflow.is_main_process:
    ask_for_bucket()


def read_from_run(path):
    """
    Text of a small file of a run, also out of the bucket; empty if there is none.

    Raises
    ------
    WorkflowError
        If the storage does not answer, or refuses: jobs that are done would seem to be to do.
    """
    if not IN_BUCKET:
        return Path(path).read_text() if Path(path).is_file() else ""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, *folders = Path(workflow.storage_settings.default_storage_prefix.removeprefix("s3://")).parts
    key = Path(*folders, path).as_posix()
    client = workflow.storage_registry.default_storage_provider.s3c.meta.client
    try:
        return client.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except (BotoCoreError, ClientError) as error:
        if code_of(error) in ABSENCE:
            return ""
        raise storage_error(f"does not give {key!r} of bucket {bucket!r}", error) from None


def seen_by_pods(config):
    """Folders that are in the image or on a volume of the pods, so that it means nothing if they are not here."""
    folders = (config["download"]["path"], config["weights"]["cache"])
    return [folder for folder in folders if folder] if PROVIDER else []


def files_to_stage():
    """
    Those that have to be put there: the run does not make them.

    Raises
    ------
    WorkflowError
        If one lies where a pod has no such path.
    """
    if not IN_BUCKET:
        return []
    files = [path for path in RUN.named_files if not PATHS.has(path)]
    for path in files:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise WorkflowError(
                f"{path!r} is not below this folder, and only what is can go into the bucket under the same name: copy it"
                " to, for example, data/, and name it so in the configuration"
            )
    return files


def is_named_file(path):
    """Whether a path that a configuration names is a file, though a pod may not have got it yet."""
    return Path(path).is_file() or (workflow.remote_exec and IN_BUCKET and not Path(path).exists())
