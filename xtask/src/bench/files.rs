//! A large file, up to `dbfs:/` and down from it, beside the same bytes over TLS to a plain server that does nothing else;
//! and what of memory the server takes meanwhile. The client is curl on both sides.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::figures::{Sample, Table};
use super::machine::{Machine, proc_figure};
use super::server::Server;

/// The file.
const BYTES: u64 = 1 << 30;
/// How often each transfer is made.
pub(super) const RUNS: usize = 3;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The aim: what the server may take above what it takes idle, in MiB.
pub(super) const ABOVE_IDLE: u64 = 16;
/// Bytes that the plain server moves at a time.
const PIECE: usize = 256 * 1024;

/// Sends and fetches the file, in turns with the plain server.
pub(crate) fn measure(machine: &Machine, server: &Server, table: &mut Table) -> anyhow::Result<()> {
    super::note("files");
    let folder = machine.folder.join("files");
    std::fs::create_dir_all(&folder)?;
    let sent = folder.join("sent");
    fill(&sent)?;
    let plain = Plain::start(server, &folder)?;
    let (ours, raw) = (format!("{}/api/2.0/fs/files/bench.bin", server.url), format!("{}/bench.bin", plain.url));
    let idle = resident(server.pid())?;
    let (mut up, mut down) = ([Sample::default(), Sample::default()], [Sample::default(), Sample::default()]);
    let (mut most_up, mut most_down) = (0, 0);
    for _ in 0..RUNS {
        let send = |url: &str| curl(server, &["--upload-file", path(&sent)?, url]);
        let fetch = |url: &str| curl(server, &["--output", "/dev/null", url]);
        let (took, most) = watched(server.pid(), || send(&format!("{ours}?overwrite=true")))?;
        up[0].push(took);
        most_up = most_up.max(most);
        up[1].push(send(&raw)?);
        let (took, most) = watched(server.pid(), || fetch(&ours))?;
        down[0].push(took);
        most_down = most_down.max(most);
        down[1].push(fetch(&raw)?);
    }
    curl(server, &["--request", "DELETE", &ours])?;
    std::fs::remove_dir_all(&folder)?;
    table.ratio("upload of 1 GiB, beside a plain TLS server", &up[0], &up[1], 2.0);
    table.ratio("download of 1 GiB, beside a plain TLS server", &down[0], &down[1], 2.0);
    table.memory("server above idle, during the upload", most_up.saturating_sub(idle), Some(ABOVE_IDLE));
    table.memory("server above idle, during the download", most_down.saturating_sub(idle), Some(ABOVE_IDLE));
    Ok(())
}

/// Writes bytes that no layer can shorten.
pub(super) fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    let mut source = File::open("/dev/urandom")?.take(BYTES);
    std::io::copy(&mut source, &mut file)?;
    Ok(file.sync_all()?)
}

/// Makes a transfer and returns how long it took.
pub(super) fn curl(server: &Server, arguments: &[&str]) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut curl = Command::new("curl")
        .args(["--disable", "--silent", "--show-error", "--fail", "--noproxy", "*", "--http1.1", "--header", "@-"])
        .arg("--cacert")
        .arg(server.authority())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("failed to start curl")?;
    // Not among the arguments, which every user of the machine sees.
    let mut input = curl.stdin.take().context("curl's input is a pipe")?;
    writeln!(input, "Authorization: Bearer {}", server.token()?)?;
    drop(input);
    let status = curl.wait()?;
    ensure!(status.success(), "curl {arguments:?}: {status}");
    Ok(begun.elapsed())
}

/// Does something and returns how long it took, and the most that the server had resident meanwhile, in KiB.
pub(super) fn watched(pid: i32, work: impl FnOnce() -> anyhow::Result<Duration>) -> anyhow::Result<(Duration, u64)> {
    let (over, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watch = std::thread::spawn({
        let (over, most) = (over.clone(), most.clone());
        move || {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(resident(pid).unwrap_or_default(), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        }
    });
    let took = work();
    over.store(true, Ordering::Relaxed);
    watch.join().ok().context("the watch on the memory broke off")?;
    Ok((took?, most.load(Ordering::Relaxed)))
}

pub(super) fn resident(pid: i32) -> anyhow::Result<u64> {
    proc_figure(&format!("/proc/{pid}/status"), "VmRSS")
}

pub(super) fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the folder's name is not UTF-8")
}

/// A server that takes one file and gives it back: one thread for each connection, TLS, and nothing else.
pub(super) struct Plain {
    pub(super) url: String,
}

impl Plain {
    /// Starts one, with the certificate of the server that is measured. It ends with the process.
    pub(super) fn start(server: &Server, folder: &Path) -> anyhow::Result<Self> {
        let tls = server.authority().with_file_name("server.pem");
        let chain = CertificateDer::pem_file_iter(&tls)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(server.authority().with_file_name("server.key"))?;
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("https://127.0.0.1:{}", listener.local_addr()?.port());
        let kept = folder.join("kept");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, kept) = (config.clone(), kept.clone());
                std::thread::spawn(move || {
                    if let Err(error) = serve(stream, config, kept) {
                        super::note(&format!("the plain server: {error:#}"));
                    }
                });
            }
        });
        Ok(Self { url })
    }
}

fn serve(stream: TcpStream, config: Arc<rustls::ServerConfig>, kept: PathBuf) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let session = rustls::ServerConnection::new(config)?;
    let mut stream = BufReader::with_capacity(PIECE, rustls::StreamOwned::new(session, stream));
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(stream.read_until(b'\n', &mut head)? > 0, "the head broke off");
    }
    let head = String::from_utf8(head)?;
    if head.starts_with("PUT ") {
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if head.contains("100-continue") {
            stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            stream.get_mut().flush()?;
        }
        let mut file = File::create(&kept)?;
        let mut body = (&mut stream).take(length.context("no length")?);
        let mut piece = vec![0; PIECE];
        loop {
            match body.read(&mut piece)? {
                0 => break,
                read => file.write_all(&piece[..read])?,
            }
        }
        file.sync_all()?;
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    } else if head.starts_with("GET ") {
        let mut file = File::open(&kept)?;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", file.metadata()?.len());
        stream.get_mut().write_all(head.as_bytes())?;
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                read => stream.get_mut().write_all(&piece[..read])?,
            }
        }
    } else {
        bail!("an unknown call: {head}");
    }
    stream.get_mut().flush()?;
    Ok(())
}
