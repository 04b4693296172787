//! What commands print: shown when it comes, kept when it ends, followed across lost links and servers.

use firesteel_api::commands::{CommandOutput, Count, Progress};

use super::*;
use crate::engine::{News, Page};

impl FakeDriver {
    async fn print(&mut self, context: ContextId, command: CommandId, offset: u64, text: &str) {
        self.say_with(DriverEvent::Output { context, command, offset }, Some(text.to_owned())).await;
    }

    async fn progress(&mut self, context: ContextId, command: CommandId, progress: Progress) {
        let (_, writer) = self.link.as_mut().expect("a link");
        frame::write(writer, &FromDriver::Progress { context, command, progress }, None).await.unwrap();
    }
}

impl Bench {
    /// A command that runs.
    async fn started(&mut self) -> (ContextId, CommandId) {
        let context = self.context().await;
        let command = self.execute(context, "print").await;
        self.driver.executed(command).await;
        self.driver.say(DriverEvent::Started { context, command }).await;
        (context, command)
    }

    /// All of a command's output up to a text that it ends with.
    async fn printed(&self, context: ContextId, command: CommandId, end: &str) -> String {
        let mut all = String::new();
        while !all.ends_with(end) {
            let page = self.output(context, command, all.len() as u64).await;
            assert_eq!(page.offset, all.len() as u64);
            all += &page.data;
        }
        all
    }

    async fn output(&self, context: ContextId, command: CommandId, offset: u64) -> CommandOutput {
        let (context, command) = (context.to_string(), command.to_string());
        let follow = self.engine.follow(CLUSTER, &context, &command, offset).await.unwrap();
        soon("output", follow.output(1000, LONG)).await.unwrap()
    }
}

fn tasks(done: u64, all: u64) -> Progress {
    let one = |done| Count { done, all: 1 };
    Progress { jobs: one(0), stages: one(0), tasks: Count { done, all } }
}

#[tokio::test]
async fn output_is_held_for_and_kept_when_the_engine_fails() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.started().await;
    bench.driver.print(context, command, 0, "a").await;
    let page = bench.output(context, command, 0).await;
    assert_eq!((page.data.as_str(), page.next_offset, page.complete), ("a", 1, false));
    assert_eq!(page.status, CommandStatus::Running);
    let follow = bench.engine.follow(CLUSTER, &context.to_string(), &command.to_string(), 1).await.unwrap();
    let held = tokio::spawn(follow.output(1000, LONG));
    bench.driver.print(context, command, 1, "béc").await;
    assert_eq!(soon("the held answer", held).await.unwrap().unwrap().data, "béc");
    bench.driver.say(DriverEvent::Lost { context, command, reason: "gone".into() }).await;
    bench.over(context, command).await;
    for (offset, data, from) in [(0, "abéc", 0), (3, "éc", 2), (5, "", 5)] {
        let page = bench.output(context, command, offset).await;
        assert_eq!((page.data.as_str(), page.offset, page.next_offset, page.complete), (data, from, 5, true));
        assert_eq!(page.status, CommandStatus::Error);
    }
    assert_eq!(bench.output(context, command, 99).await.next_offset, 99);
}

#[tokio::test]
async fn what_comes_again_behind_a_lost_link_or_server_is_shown_and_kept_once() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.started().await;
    bench.driver.print(context, command, 0, "one ").await;
    bench.driver.acknowledged().await;
    bench.driver.print(context, command, 4, "two ").await;
    assert_eq!(bench.output(context, command, 4).await.data, "two ");
    // The link is lost before the last was acknowledged, so the driver sends it again.
    bench.driver.hang_up();
    bench.driver.accept().await;
    bench.driver.print(context, command, 8, "three ").await;
    assert_eq!(bench.output(context, command, 8).await.data, "three ");
    bench.restart().await;
    bench.driver.accept().await;
    assert_eq!(bench.printed(context, command, "three ").await, "one two three ");
    bench.driver.print(context, command, 14, "four").await;
    assert_eq!(bench.output(context, command, 14).await.data, "four");
    bench.driver.finish(context, command, "").await;
    bench.over(context, command).await;
    let page = bench.output(context, command, 0).await;
    assert_eq!((page.data.as_str(), page.complete), ("one two three four", true));
}

#[tokio::test]
async fn a_gap_is_told_whether_it_is_stored_yet_or_not() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.started().await;
    bench.driver.print(context, command, 0, "first").await;
    bench.driver.print(context, command, 1000, "last").await;
    for _ in 0..2 {
        let page = bench.output(context, command, 0).await;
        assert_eq!((page.data.as_str(), page.next_offset, page.skipped), ("first", 5, 0));
        let page = bench.output(context, command, 5).await;
        assert_eq!((page.data.as_str(), page.offset, page.skipped), ("last", 1000, 995));
        bench.driver.acknowledged().await;
    }
}

#[tokio::test]
async fn one_who_follows_hears_status_progress_and_output_to_the_end() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    let command = bench.execute(context, "x").await;
    bench.driver.executed(command).await;
    let ids = (context.to_string(), command.to_string());
    let mut follow = bench.engine.follow(CLUSTER, &ids.0, &ids.1, 0).await.unwrap();
    let mut next = async || soon("news", follow.next()).await.unwrap();
    assert_eq!(next().await, Some(News::Status(CommandStatus::Queued)));
    bench.driver.say(DriverEvent::Started { context, command }).await;
    assert_eq!(next().await, Some(News::Status(CommandStatus::Running)));
    for done in [0, 3, 10] {
        bench.driver.progress(context, command, tasks(done, 10)).await;
        assert_eq!(next().await, Some(News::Progress(tasks(done, 10))));
    }
    bench.driver.print(context, command, 0, "text").await;
    let told = next().await.unwrap();
    assert!(matches!(&told, News::Output { output, skipped: 0 } if output.text == "text"), "{told:?}");
    // The latest progress is shown to whoever comes later.
    let mut late = bench.engine.follow(CLUSTER, &ids.0, &ids.1, 4).await.unwrap();
    assert_eq!(late.next().await.unwrap(), Some(News::Status(CommandStatus::Running)));
    assert_eq!(late.next().await.unwrap(), Some(News::Progress(tasks(10, 10))));
    bench.driver.print(context, command, 4, " more").await;
    bench.driver.say(DriverEvent::Cancelled { context, command, lost: None }).await;
    let told = next().await.unwrap();
    assert!(matches!(&told, News::Output { output, .. } if output.text == " more"), "{told:?}");
    assert_eq!(next().await, Some(News::End(CommandStatus::Cancelled)));
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn one_who_follows_into_a_context_s_end_is_told_that() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.started().await;
    let mut follow = bench.engine.follow(CLUSTER, &context.to_string(), &command.to_string(), 0).await.unwrap();
    while follow.next().await.unwrap() != Some(News::Status(CommandStatus::Running)) {}
    let waiting = tokio::spawn(async move { follow.next().await });
    bench.engine.destroy_context(CLUSTER, &context.to_string()).await.unwrap();
    let told = soon("the end of the context", waiting).await.unwrap();
    assert!(matches!(&told, Err(EngineError::UnknownContext(id)) if *id == context.to_string()), "{told:?}");
    let unknown = bench.engine.follow(CLUSTER, &context.to_string(), &command.to_string(), 0).await;
    assert!(matches!(unknown, Err(EngineError::UnknownContext(_))));
}

#[tokio::test]
async fn a_list_shows_what_the_board_shows_and_refuses_tokens_that_it_did_not_give() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.started().await;
    let page = |token: Option<&str>| Page { limit: 1, token: token.map(str::to_owned) };
    let context_id = context.to_string();
    soon("the start to be shown", async {
        while bench.status(context, command).await != CommandStatus::Running {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let listed = bench.engine.commands(CLUSTER, &context_id, page(None)).await.unwrap();
    assert_eq!((listed.commands[0].id, listed.commands[0].status), (command, CommandStatus::Running));
    assert_eq!(listed.next_page_token, None);
    let other = bench.context().await;
    let contexts = bench.engine.contexts(CLUSTER, page(None)).await.unwrap();
    assert_eq!(contexts.contexts[0].id, other);
    let rest = bench.engine.contexts(CLUSTER, page(contexts.next_page_token.as_deref())).await.unwrap();
    assert_eq!((rest.contexts[0].id, rest.next_page_token), (context, None));
    for refused in [
        bench.engine.contexts(CLUSTER, page(Some("x"))).await.map(drop),
        bench.engine.commands(CLUSTER, &context_id, page(Some("-1"))).await.map(drop),
    ] {
        assert!(matches!(refused, Err(EngineError::BadPageToken { .. })), "{refused:?}");
    }
}
