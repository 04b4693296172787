//! Libraries: one after the other, before the cluster is ready or while it runs, in the installer's own words.

use std::os::unix::fs::PermissionsExt as _;

use firesteel_api::libraries::Library;

use super::*;
use crate::protocol::link::LibraryStep;

fn jar(name: &str) -> Library {
    Library::Jar(format!("dbfs:/{name}.jar"))
}

fn pypi(package: &str) -> Library {
    Library::Pypi { package: package.to_owned(), repo: None }
}

/// An installer that does what the package is called.
fn place_installer(bench: &Bench) {
    let folder = bench.spec.folder.join("python/bin");
    std::fs::create_dir_all(&folder).unwrap();
    let script = "#!/bin/sh\ncase \"$4\" in bad) echo \"ERROR: no $3 $4\" >&2; exit 1;; slow) sleep 600;; esac\n";
    std::fs::write(folder.join("python"), script).unwrap();
    std::fs::set_permissions(folder.join("python"), std::fs::Permissions::from_mode(0o700)).unwrap();
}

impl Server {
    async fn install(&mut self, library: &Library) {
        self.ask(ToDriver::Install { library: library.clone() }, None).await;
    }

    /// The next event as words; it must be about a library.
    async fn library(&mut self) -> String {
        match self.event().await.0 {
            DriverEvent::Library { library, step, messages } => {
                let step = match step {
                    LibraryStep::Installing => "installing",
                    LibraryStep::Installed => "installed",
                    LibraryStep::Failed => "failed",
                };
                format!("{library} {step} {}", messages.join("; ")).trim_end().to_owned()
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_library_is_installed_once_and_one_that_failed_is_tried_again() {
    let (bench, mut server) = Bench::ready().await;
    let (there, missing) = (jar("a"), jar("missing"));
    server.install(&there).await;
    assert_eq!(server.library().await, "dbfs:/a.jar installing");
    assert_eq!(server.library().await, "dbfs:/a.jar installed a.jar is old");
    server.install(&there).await;
    assert_eq!(server.library().await, "dbfs:/a.jar installed a.jar is old", "whoever asks again has not heard");
    for _ in 0..2 {
        server.install(&missing).await;
        assert_eq!(server.library().await, "dbfs:/missing.jar installing");
        assert_eq!(server.library().await, "dbfs:/missing.jar failed there is no such file");
    }
    let cran = Library::Cran { package: "dplyr".into(), repo: None };
    server.install(&cran).await;
    assert_eq!(server.library().await, "dplyr installing");
    assert!(server.library().await.contains("install.packages()"));
    assert_eq!(bench.count("jvm", "fetch_library"), 3);
    server.ask(ToDriver::Stop {}, None).await;
    bench.ended().await;
}

#[tokio::test]
async fn the_libraries_of_the_specification_are_dealt_with_before_the_cluster_is_ready() {
    let bench = Bench::with(|spec| spec.libraries = vec![jar("a"), jar("missing"), jar("b")]).await;
    let mut server = bench.connect().await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(server.library().await);
    }
    let expected = [
        "dbfs:/a.jar installing",
        "dbfs:/a.jar installed a.jar is old",
        "dbfs:/missing.jar installing",
        "dbfs:/missing.jar failed there is no such file",
        "dbfs:/b.jar installing",
        "dbfs:/b.jar installed b.jar is old",
    ];
    assert_eq!(seen, expected);
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    server.ask(ToDriver::Stop {}, None).await;
    bench.ended().await;
}

#[tokio::test]
async fn an_installer_is_told_by_its_words_and_given_up_after_its_time() {
    let bench = Bench::with(|spec| spec.library_seconds_max = 2).await;
    let mut server = bench.connect().await;
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    place_installer(&bench);
    let slow_jar = jar("hang");
    for library in [&pypi("good"), &pypi("bad"), &pypi("slow"), &slow_jar, &Library::Whl("dbfs:/w.whl".into())] {
        server.install(library).await;
    }
    let mut seen = Vec::new();
    for _ in 0..10 {
        seen.push(server.library().await);
    }
    let expected = [
        "good installing",
        "good installed",
        "bad installing",
        "bad failed ERROR: no pypi bad",
        "slow installing",
        "slow failed it was not installed within 2 s and was given up",
        "dbfs:/hang.jar installing",
        "dbfs:/hang.jar failed it was not installed within 2 s and was given up",
        "dbfs:/w.whl installing",
        "dbfs:/w.whl installed w.whl is old",
    ];
    assert_eq!(seen, expected);
    server.ask(ToDriver::Stop {}, None).await;
    bench.ended().await;
}
