"""The life of a cluster with the stock SDK: `clusters.py CASE FACTS`. One cluster, from its making to its end."""

import datetime
import json
import sys

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.service.compute import ClusterDetails, EventType, Language, State

FACTS = json.loads(sys.argv[2])
PATIENCE = datetime.timedelta(minutes=5)


def refused(said, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except BadRequest as error:
        assert said in str(error), error
    else:
        raise AssertionError(f"it was not refused: {said}")


def catalog(clusters):
    versions = clusters.spark_versions().versions
    assert len(versions) >= 1 and versions[0].key, versions
    kinds = clusters.list_node_types().node_types
    assert all(kind.memory_mb > 0 and kind.num_cores >= 1 and kind.description for kind in kinds), kinds
    assert clusters.list_zones().default_zone == "local"
    return versions[0].key, kinds[0].node_type_id


def what_is_refused(clusters, version):
    what = {"cluster_name": "refused", "spark_version": version, "num_workers": 0}
    refused(version, clusters.create, **{**what, "spark_version": "1.6.0"})
    refused("local.1", clusters.create, **what, node_type_id="i3.xlarge")
    refused("`num_workers` is 100000", clusters.create, **{**what, "num_workers": 100000})
    for conf in (
        {"spark.driver.extraClassPath": "/tmp/evil.jar"},
        {"spark.driver.extraJavaOptions": "-javaagent:/tmp/evil.jar"},
        {"spark.plugins": "evil.Plugin"},
        {"spark.submit.deployMode": "cluster"},
        {"spark.master": "spark://elsewhere:7077"},
        {"spark.sql.catalog.x.warehouse": "file:///etc"},
    ):
        refused(f"`{next(iter(conf))}` is not allowed", clusters.create, **what, spark_conf=conf)
    refused("`LD_PRELOAD` is not allowed", clusters.create, **what, spark_env_vars={"LD_PRELOAD": "/tmp/evil.so"})
    assert "refused" not in [cluster.cluster_name for cluster in clusters.list()]
    try:
        clusters.get("nope")
    except ResourceDoesNotExist:
        pass
    else:
        raise AssertionError("there is a cluster `nope`")


def run(client, cluster, code):
    context = client.command_execution.create(cluster_id=cluster, language=Language.PYTHON).result().id
    view = client.command_execution.execute(
        cluster_id=cluster, context_id=context, language=Language.PYTHON, command=code
    ).result()
    return view.results.data


def a_life():
    client = WorkspaceClient()
    clusters = client.clusters
    version, kind = catalog(clusters)
    what_is_refused(clusters, version)

    # Made, and what was asked for is so.
    made = clusters.create_and_wait(
        cluster_name="sdk",
        spark_version=version,
        node_type_id=kind,
        num_workers=0,
        spark_conf={"spark.sql.shuffle.partitions": "3", "spark.master": "local[*]"},
        spark_env_vars={"GREETING": "hello"},
        custom_tags={"team": "a"},
        timeout=PATIENCE,
    )
    cluster = made.cluster_id
    assert made.state == State.RUNNING and made.creator_user_name == "admin", made
    assert made.spark_conf["spark.sql.shuffle.partitions"] == "3" and made.custom_tags == {"team": "a"}, made
    assert made.cluster_cores == 1 and made.driver.private_ip == "127.0.0.1", made
    said = run(client, cluster, "import os; print(spark.conf.get('spark.sql.shuffle.partitions'), os.environ['GREETING'])")
    assert said == "3 hello", said
    said = run(client, cluster, "print(spark.sparkContext.master)")
    assert said == "local[1]", said
    clusters.ensure_cluster_is_running(cluster)
    refused(f"Cluster {cluster} is in unexpected state Running.", clusters.start, cluster)
    listed = [one.cluster_id for one in clusters.list(page_size=1)]
    assert cluster in listed and FACTS["cluster"] in listed and len(listed) == len(set(listed)), listed

    # Resized, though to what it is: more workers are the engines' own cases.
    assert clusters.resize_and_wait(cluster, num_workers=0, timeout=PATIENCE).num_workers == 0

    # A restart loses its contexts; so does an edit of what its driver was launched with.
    context = client.command_execution.create(cluster_id=cluster, language=Language.PYTHON).result().id
    assert clusters.restart_and_wait(cluster, timeout=PATIENCE).state == State.RUNNING
    try:
        client.command_execution.context_status(cluster, context)
    except Exception as error:
        assert str(error) == f"ContextNotFound: {context}", error
    else:
        raise AssertionError("the context is still there")
    clusters.edit(cluster, spark_version=version, cluster_name="edited", num_workers=0, node_type_id=kind)
    edited = clusters.get(cluster)
    assert edited.cluster_name == "edited" and not edited.spark_conf, edited
    clusters.wait_get_cluster_running(cluster, timeout=PATIENCE)

    # Ended, it stays; started again, it is as it was; pinned, it is not forgotten.
    ended = clusters.delete_and_wait(cluster, timeout=PATIENCE)
    assert ended.state == State.TERMINATED and ended.termination_reason.code.value == "USER_REQUEST", ended
    assert ended.termination_reason.parameters == {"username": "admin"}, ended
    assert "user admin" in ended.state_message, ended
    clusters.pin(cluster)
    refused("unpin the cluster first", clusters.permanent_delete, cluster)
    clusters.unpin(cluster)
    clusters.change_owner(cluster, "bob")
    assert clusters.get(cluster).creator_user_name == "bob"

    events = list(clusters.events(cluster, limit=4))
    kinds = [event.type for event in reversed(events)]
    expected = "CREATING STARTING RUNNING RESIZING UPSIZE_COMPLETED RESTARTING RUNNING EDITED RESTARTING RUNNING TERMINATING PINNED UNPINNED"
    assert kinds == [EventType(word) for word in expected.split()], kinds
    assert all(event.cluster_id == cluster and event.timestamp for event in events)
    ending = [event for event in events if event.type == EventType.TERMINATING][0]
    assert ending.details.reason.code.value == "USER_REQUEST" and ending.details.user == "admin", ending

    clusters.permanent_delete(cluster)
    try:
        clusters.get(cluster)
    except (ResourceDoesNotExist, InvalidParameterValue):
        pass
    else:
        raise AssertionError("the cluster is still there")
    assert cluster not in [one.cluster_id for one in clusters.list()]
    assert isinstance(clusters.get(FACTS["cluster"]), ClusterDetails)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
