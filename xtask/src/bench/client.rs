//! The calls that are measured, over one kept connection.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// How long a cluster may take to come to a state or a size.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(300);

/// How often it is looked at meanwhile: its status is not held.
const CLUSTER_LOOK: Duration = Duration::from_millis(20);

/// A client with a connection of its own.
pub(crate) struct Client {
    /// Everything runs on the thread that asks: no hand-over is measured.
    runtime: Runtime,
    http: reqwest::Client,
    url: String,
    cluster: String,
    token: String,
}

impl Client {
    /// Makes one that trusts this authority only.
    pub(crate) fn new(url: &str, cluster: &str, token: &str, authority: &[u8]) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(authority)?])
            .no_proxy()
            // As the SDKs of Python speak it.
            .http1_only()
            .tcp_nodelay(true)
            // Less than the server's, whose end of a connection is not seen while nothing is asked.
            .pool_idle_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .build()?;
        Ok(Self { runtime, http, url: url.to_owned(), cluster: cluster.to_owned(), token: token.to_owned() })
    }

    /// Creates a context and waits until it is Running; returns its id and how long that took.
    pub(crate) fn open(&self, language: &str) -> anyhow::Result<(String, Duration)> {
        let begun = Instant::now();
        let context = self.begin(language)?;
        self.until_running(&context)?;
        Ok((context, begun.elapsed()))
    }

    /// Creates a context and does not wait for it.
    pub(crate) fn begin(&self, language: &str) -> anyhow::Result<String> {
        id(&self.post("contexts/create", &json!({"clusterId": self.cluster, "language": language}))?)
    }

    /// Waits until a context is Running.
    pub(crate) fn until_running(&self, context: &str) -> anyhow::Result<()> {
        let query = [("clusterId", self.cluster.as_str()), ("contextId", context)];
        loop {
            let view = self.get("contexts/status", &query)?;
            match view["status"].as_str() {
                Some("Running") => return Ok(()),
                Some("Pending") => {}
                _ => bail!("the context did not come up: {view}"),
            }
        }
    }

    /// Destroys a context.
    pub(crate) fn close(&self, context: &str) -> anyhow::Result<()> {
        self.post("contexts/destroy", &json!({"clusterId": self.cluster, "contextId": context})).map(drop)
    }

    /// Sends a command and returns its id.
    pub(crate) fn send(&self, context: &str, language: &str, code: &str) -> anyhow::Result<String> {
        let body = json!({"clusterId": self.cluster, "contextId": context, "language": language, "command": code});
        id(&self.post("commands/execute", &body)?)
    }

    /// Waits until a command is over.
    pub(crate) fn wait(&self, context: &str, command: &str) -> anyhow::Result<()> {
        while matches!(self.status(context, command)?["status"].as_str(), Some("Queued" | "Running")) {}
        Ok(())
    }

    /// Returns what a command printed from an offset on, as soon as there is any.
    pub(crate) fn output(&self, context: &str, command: &str, offset: u64) -> anyhow::Result<Value> {
        let offset = offset.to_string();
        let query =
            [("clusterId", self.cluster.as_str()), ("contextId", context), ("commandId", command), ("offset", &offset)];
        self.get("commands/output", &query)
    }

    /// Returns how many bytes a command that is over has printed, kept or not.
    pub(crate) fn printed(&self, context: &str, command: &str) -> anyhow::Result<u64> {
        let mut offset = 0;
        loop {
            let page = self.output(context, command, offset)?;
            offset = page["nextOffset"].as_u64().context("no offset")?;
            if page["complete"] == true {
                return Ok(offset);
            }
        }
    }

    /// Executes a command and waits for its result; returns that, the command's id, and how long it took.
    pub(crate) fn execute(&self, context: &str, language: &str, code: &str) -> anyhow::Result<Executed> {
        let begun = Instant::now();
        let command = self.send(context, language, code)?;
        let accepted = begun.elapsed();
        loop {
            let view = self.status(context, &command)?;
            match view["status"].as_str() {
                Some("Finished") => {
                    return Ok(Executed { took: begun.elapsed(), accepted, results: view["results"].clone(), command });
                }
                Some("Queued" | "Running") => {}
                _ => bail!("`{code}` came to no result: {view}"),
            }
        }
    }

    /// Cancels a command.
    pub(crate) fn cancel(&self, context: &str, command: &str) -> anyhow::Result<()> {
        let body = json!({"clusterId": self.cluster, "contextId": context, "commandId": command});
        self.post("commands/cancel", &body).map(drop)
    }

    /// Waits until a command has this status. A status call that is held does not end with every change: one that is to be
    /// Running is seen to be so when the call is answered, 2 s later.
    pub(crate) fn until(&self, context: &str, command: &str, wanted: &str) -> anyhow::Result<()> {
        loop {
            let view = self.status(context, command)?;
            match view["status"].as_str() {
                Some(status) if status == wanted => return Ok(()),
                Some("Queued" | "Running" | "Cancelling") => {}
                _ => bail!("it was to be {wanted}: {view}"),
            }
        }
    }

    /// Returns a command's status.
    pub(crate) fn status(&self, context: &str, command: &str) -> anyhow::Result<Value> {
        let query = [("clusterId", self.cluster.as_str()), ("contextId", context), ("commandId", command)];
        self.get("commands/status", &query)
    }

    /// Makes a cluster; returns its id.
    pub(crate) fn make_cluster(&self, ask: &Value) -> anyhow::Result<String> {
        id(&self.post("clusters/create", ask)?)
    }

    /// Waits until a cluster runs with so many workers.
    pub(crate) fn cluster_runs(&self, cluster: &str, workers: u32) -> anyhow::Result<()> {
        self.cluster_is(cluster, "Running", workers)
    }

    /// Ends a cluster, and waits until it has.
    pub(crate) fn end_cluster(&self, cluster: &str) -> anyhow::Result<()> {
        self.post("clusters/delete", &json!({"clusterId": cluster}))?;
        self.cluster_is(cluster, "Terminated", 0)
    }

    fn cluster_is(&self, cluster: &str, status: &str, workers: u32) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let view = self.get("clusters/status", &[("clusterId", cluster)])?;
            if view["status"] == status && view["numWorkers"] == workers {
                return Ok(());
            }
            if view["status"] == "Error" || begun.elapsed() >= CLUSTER_PATIENCE {
                bail!("the cluster was to be {status} with {workers} workers: {view}");
            }
            std::thread::sleep(CLUSTER_LOOK);
        }
    }

    /// Takes a whole table in another form; returns how many bytes it had.
    pub(crate) fn download(&self, context: &str, command: &str, format: &str) -> anyhow::Result<u64> {
        let query =
            [("clusterId", self.cluster.as_str()), ("contextId", context), ("commandId", command), ("format", format)];
        let request = self.http.get(format!("{}/api/1.2/commands/result", self.url)).query(&query);
        self.runtime.block_on(async {
            let request = request.timeout(Duration::from_secs(1200)).bearer_auth(&self.token);
            let mut response = request.send().await?.error_for_status()?;
            let mut bytes = 0;
            while let Some(piece) = response.chunk().await? {
                bytes += piece.len() as u64;
            }
            Ok(bytes)
        })
    }

    /// Posts to a call of 1.2.
    pub(crate) fn post(&self, call: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(self.http.post(format!("{}/api/1.2/{call}", self.url)).json(body))
    }

    /// Gets from a call of 1.2.
    pub(crate) fn get(&self, call: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.ask(self.http.get(format!("{}/api/1.2/{call}", self.url)).query(query))
    }

    fn ask(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        self.runtime.block_on(async {
            let response = request.bearer_auth(&self.token).send().await?;
            let (status, body) = (response.status(), response.bytes().await?);
            if !status.is_success() {
                bail!("{status}: {}", String::from_utf8_lossy(&body));
            }
            Ok(serde_json::from_slice(&body)?)
        })
    }
}

/// A command that was executed.
pub(crate) struct Executed {
    /// From before the call to the result in hand.
    pub(crate) took: Duration,
    /// From before the call to the command's id in hand.
    pub(crate) accepted: Duration,
    /// The results.
    pub(crate) results: Value,
    /// The command's id.
    pub(crate) command: String,
}

fn id(answer: &Value) -> anyhow::Result<String> {
    Ok(answer["id"].as_str().with_context(|| format!("no id in {answer}"))?.to_owned())
}
