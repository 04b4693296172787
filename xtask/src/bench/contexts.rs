//! `contexts/create` until the context is Running, with a warm spare waiting for it.

use std::time::Duration;

use super::figures::{Aim, Sample, Table};
use super::server::Server;
use super::{note, processes};

const AIM: Aim = Aim::AtMost(Duration::from_millis(50));

/// Measures each language. A spare is called warm once the processes of the cluster have come to rest, not once a
/// create was quick: that would leave the slow ones out.
pub(crate) fn measure(server: &Server, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    let client = server.client()?;
    for (language, name) in [("scala", "Scala"), ("python", "Python"), ("sql", "SQL")] {
        note(&format!("contexts, {name}"));
        let mut sample = Sample::default();
        // The first one warms the way.
        for run in 0..=runs {
            processes::quiet(server.pid())?;
            let (context, took) = client.open(language)?;
            client.close(&context)?;
            if run > 0 {
                sample.push(took);
            }
        }
        table.alone(&format!("`contexts/create` → Running, {name}"), &sample, AIM);
    }
    Ok(())
}
