//! JDBC as its clients know it: `beeline` out of the Spark package, and PyHive from PyPI.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::api::Context;
use crate::case::Case;
use crate::clients::{Python, environment};
use crate::nodes::Cluster;
use crate::server::Server;

/// What PyHive needs for passwords, without a compiler.
const PYHIVE: Python =
    Python { name: "pyhive", packages: &["PyHive==0.7.0", "thrift==0.25.0", "thrift-sasl==0.4.3", "pure-sasl==0.6.2"] };

/// A query's rows, one a line; or the refusal.
const SCRIPT: &str = "\
import os, sys
from pyhive import hive
port, user, query = sys.argv[1:]
rows = hive.connect(host='127.0.0.1', port=int(port), username=user, password=os.environ['PASSWORD'], auth='CUSTOM').cursor()
rows.execute(query)
for row in rows.fetchall(): print(*row)
";

pub(crate) fn cases() -> Vec<Case> {
    shared![jdbc_is_off_unless_it_is_asked_for]
}

fn jdbc_is_off_unless_it_is_asked_for(server: &Server) {
    let port = port_of(&Cluster::own(server));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "something listens on {port}");
}

/// The port that the API tells.
fn port_of(cluster: &Cluster<'_>) -> u16 {
    let told = cluster.view()["jdbc_port"].as_u64();
    told.and_then(|port| port.try_into().ok()).unwrap()
}

/// Queries a cluster that serves JDBC with a right password, a token, and wrong ones. `sql` is a context on it.
#[track_caller]
pub(crate) fn answers(cluster: &Cluster<'_>, sql: &Context<'_>, spark_home: &Path) {
    let (server, port) = (cluster.server, port_of(cluster));
    let seen = sql.run("create global temporary view jdbc_seen as select 41 + 1 as answer");
    assert_eq!(seen.results["resultType"], "table", "{seen:?}");
    let query = "select answer from global_temp.jdbc_seen";

    for (user, password) in [("admin", server.password()), ("token", server.token.clone())] {
        let rows = pyhive(port, user, &password, query);
        let said = String::from_utf8_lossy(&rows.stderr).into_owned();
        assert!(rows.status.success() && rows.stdout == b"42\n", "{user}: {said}");
    }
    for (user, password) in [("admin", "wrong"), ("nobody", "x"), ("token", "wrong")] {
        let refused = pyhive(port, user, password, query);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("validating the login"), "{user}: {said}");
    }
    let rows = beeline(port, &server.password(), query, spark_home);
    let said = [rows.stdout, rows.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(rows.status.success() && said[0].lines().any(|line| line == "42"), "{said:?}");

    // What a connection makes is there for the cluster.
    let table = format!("by_jdbc_{port}");
    let made = pyhive(port, "admin", &server.password(), &format!("create table {table} as select 7 as n"));
    assert!(!String::from_utf8_lossy(&made.stderr).contains("Error while"), "{made:?}");
    assert_eq!(sql.run(&format!("select n from {table}")).results["data"], json!([[7]]));
    sql.run(&format!("drop table {table}"));
}

fn pyhive(port: u16, user: &str, password: &str, query: &str) -> Output {
    let mut command = Command::new(environment(PYHIVE).join("python"));
    command.args(["-c", SCRIPT, &port.to_string(), user, query]).env("PASSWORD", password);
    command.output().unwrap()
}

fn beeline(port: u16, password: &str, query: &str, spark_home: &Path) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, password).unwrap();
    Command::new(spark_home.join("bin/beeline"))
        .args(["-u", &format!("jdbc:hive2://127.0.0.1:{port}/default"), "-n", "admin", "-w"])
        .arg(file)
        .args(["--outputformat=tsv2", "--silent=true", "-e", query])
        .env("SPARK_HOME", spark_home)
        .current_dir(folder.path())
        .output()
        .unwrap()
}
