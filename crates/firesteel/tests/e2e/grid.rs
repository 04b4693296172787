//! A standalone cluster as an operator sets one up: a Master and two Workers, each on an address of its own, with a secret.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use crate::folders;
use crate::server::Server;

/// The processes of the cluster. They end with it.
pub(crate) struct Grid {
    folder: PathBuf,
    spark_home: PathBuf,
    java_home: PathBuf,
    /// `spark://HOST:PORT`
    pub(crate) master: String,
    running: Vec<(&'static str, Child)>,
}

/// Where its Master serves: known before it is there, as the shared server's configuration names it.
static MASTER: LazyLock<u16> = LazyLock::new(|| {
    let free = TcpListener::bind((Grid::MASTER, 0)).unwrap();
    free.local_addr().unwrap().port()
});

fn master() -> String {
    format!("spark://{}:{}", Grid::MASTER, *MASTER)
}

fn folder() -> PathBuf {
    folders::root().join("grid")
}

impl Grid {
    /// Its name in the configuration of the shared server.
    pub(crate) const BACKEND: &str = "grid";
    pub(crate) const SECRET: &str = "secret-of-the-grid";
    pub(crate) const MASTER: &str = "127.0.0.2";
    pub(crate) const WORKERS: [&str; 2] = ["127.0.0.3", "127.0.0.4"];

    /// What a server is told of it.
    pub(crate) fn config() -> String {
        format!(
            "[backends.{}]\nkind = 'standalone'\nmaster = '{}'\nsecret_file = '{}'\nlost_master_seconds = 30\n\
             [backends.{}.executor]\ncores = 1\nmemory_mb = 512\n",
            Self::BACKEND,
            master(),
            folder().join("secret").display(),
            Self::BACKEND,
        )
    }

    /// Starts it with the Spark of a server.
    pub(crate) fn start(server: &Server) -> Self {
        let folder = folders::fresh("grid");
        let secret = folder.join("secret");
        fs::write(&secret, format!("{}\n", Self::SECRET)).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let properties = format!(
            "spark.authenticate true\nspark.authenticate.secret {}\nspark.master.rest.enabled false\n\
             spark.deploy.recoveryMode FILESYSTEM\nspark.deploy.recoveryDirectory {1}/recovery\nspark.local.dir {1}/blocks\n",
            Self::SECRET,
            folder.display()
        );
        fs::create_dir(folder.join("recovery")).unwrap();
        fs::write(folder.join("grid.conf"), properties).unwrap();
        let spec = fs::read(server.data.join("clusters").join(&server.cluster).join("driver.json")).unwrap();
        let spec: serde_json::Value = serde_json::from_slice(&spec).unwrap();
        let of_jvm = |name: &str| PathBuf::from(spec["jvm"]["env"][name].as_str().unwrap());
        let (spark_home, java_home) = (of_jvm("SPARK_HOME"), of_jvm("JAVA_HOME"));
        let mut grid = Self { folder, spark_home, java_home, master: master(), running: Vec::new() };
        grid.start_master();
        Self::WORKERS.into_iter().for_each(|host| grid.start_worker(host));
        grid
    }

    pub(crate) fn start_master(&mut self) {
        self.spawn("org.apache.spark.deploy.master.Master", Self::MASTER, &["--port", &MASTER.to_string()]);
    }

    pub(crate) fn start_worker(&mut self, host: &'static str) {
        let (folder, master) = (self.folder.join(host).display().to_string(), self.master.clone());
        let args = ["--cores", "1", "--memory", "512m", "--work-dir", &folder, &master];
        self.spawn("org.apache.spark.deploy.worker.Worker", host, &args);
    }

    fn spawn(&mut self, class: &str, host: &'static str, args: &[&str]) {
        let log = fs::File::options().create(true).append(true).open(self.folder.join(format!("{host}.log"))).unwrap();
        let child = Command::new(self.spark_home.join("bin/spark-class"))
            .arg(class)
            .args(["--host", host, "--webui-port", "0", "--properties-file"])
            .arg(self.folder.join("grid.conf"))
            .args(args)
            .env("SPARK_LOCAL_IP", host)
            .env("JAVA_HOME", &self.java_home)
            .env("SPARK_DAEMON_MEMORY", "256m")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.push((host, child));
    }

    /// Kills what runs on an address.
    pub(crate) fn kill(&mut self, host: &str) {
        let place = self.running.iter().position(|(own, _)| *own == host).unwrap();
        let (_, mut child) = self.running.remove(place);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
