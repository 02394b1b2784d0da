//! When what is sent is written, and by whom.

use super::*;
use std::future::poll_fn;
use std::num::NonZeroU64;
use std::pin::pin;

/// A stream that counts how often it is written to, and fails in the end, each time in another way.
struct Counting<T> {
    io: T,
    writes: Arc<AtomicUsize>,
    failures: Vec<io::ErrorKind>,
}

/// The link over a stream that counts, and the count.
fn counted<T>(link: Link<T>, failures: Vec<io::ErrorKind>) -> (Link<Counting<T>>, Arc<AtomicUsize>) {
    let writes = Arc::new(AtomicUsize::new(0));
    let established = link.established().clone();
    let io = Counting {
        io: link.io,
        writes: Arc::clone(&writes),
        failures,
    };
    (Link::new(io, link.input, established), writes)
}

impl<T: AsyncRead + Unpin> AsyncRead for Counting<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counting<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        match self.failures.pop() {
            Some(failure) => Poll::Ready(Err(failure.into())),
            None => Pin::new(&mut self.io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A worker of a runtime for many threads runs the connection's task as soon as one of many has sent something.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_many_send_when_something_came_is_written_together() {
    const MANY: i64 = 100;
    let (one, two) = linked().await;
    let (one, writes) = counted(one, vec![]);
    let (answers, driver) = one.open(LinkOptions::default());
    let (go, gone) = tokio::sync::watch::channel(false);
    tokio::spawn(driver.run(move |_| {
        go.send_replace(true);
    }));
    for i in 0..MANY {
        let (answers, mut gone) = (answers.clone(), gone.clone());
        tokio::spawn(async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            answers.send(numbered(i, 1)).await.unwrap();
        });
    }
    let (asking, driver) = two.open(LinkOptions::default());
    let (told, mut heard) = unbounded_channel();
    tokio::spawn(driver.run(move |control| told.send(number(&control)).unwrap()));
    asking.send(numbered(0, 1)).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..MANY {
        all.push(heard.recv().await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, Vec::from_iter(0..MANY));
    let writes = writes.load(Ordering::Relaxed);
    assert!(writes < 10, "{writes} writes");
}

/// The connection's task has had its turn when the router has been told, and gets none while nothing is waited for.
#[tokio::test]
async fn who_answers_a_question_that_came_alone_writes_the_answer() {
    let (one, two) = linked().await;
    let (one, writes) = counted(one, vec![]);
    let (answers, driver) = one.open(LinkOptions::default());
    let (asked, mut questions) = unbounded_channel();
    tokio::spawn(driver.run(move |control| asked.send(number(&control)).unwrap()));
    let (asking, driver) = two.open(LinkOptions::default());
    let (told, mut heard) = unbounded_channel();
    tokio::spawn(driver.run(move |control: Control| {
        if control.payload().is_some() {
            told.send(number(&control)).unwrap();
        }
    }));
    let writes = || writes.load(Ordering::Relaxed);

    asking.send(numbered(0, 1)).await.unwrap();
    questions.recv().await.unwrap();
    answers.try_send(&numbered(1, 1)).unwrap();
    assert_eq!(writes(), 1);
    // What else is sent may be much.
    answers.try_send(&numbered(2, 1)).unwrap();
    answers.try_send(&numbered(3, 1)).unwrap();
    assert_eq!(writes(), 1);
    for answer in 1..=3 {
        assert_eq!(heard.recv().await, Some(answer));
    }

    // What a monitor is for follows it, and goes with it.
    asking.send(numbered(0, 1)).await.unwrap();
    questions.recv().await.unwrap();
    let before = writes();
    let [from, to] = [("a@host", 5), ("b@host", 6)]
        .map(|(node, creation)| Pid::new(Atom::from_static(node), 1, 0, creation));
    let monitor = control::MonitorP {
        reference: Reference::new(from.node().clone(), &[1, 2, 3], 5).unwrap(),
        to: control::Monitored::Pid(to),
        from,
    };
    answers.try_send(&Control::MonitorP(monitor)).unwrap();
    answers.try_send(&numbered(4, 1)).unwrap();
    assert_eq!(writes(), before);
    assert_eq!(heard.recv().await, Some(4));
    assert_eq!(writes(), before + 1);

    let before = writes();
    for question in 0..10 {
        asking.send(numbered(question, 1)).await.unwrap();
    }
    for _ in 0..10 {
        questions.recv().await.unwrap();
    }
    answers.try_send(&numbered(5, 1)).unwrap();
    assert_eq!(writes(), before);
    assert_eq!(heard.recv().await, Some(5));
}

/// Of its own answers, that is: it looks for them when it has read all.
#[tokio::test]
async fn the_connection_s_task_does_not_wake_itself() {
    let (one, two) = linked().await;
    let (answers, driver) = one.open(LinkOptions::default());
    let answering = driver.run(move |question: Control| answers.send_now(question).unwrap());
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    tokio::spawn(async move {
        let mut answering = pin!(answering);
        poll_fn(|cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            answering.as_mut().poll(cx)
        })
        .await
    });
    let (asking, driver) = two.open(LinkOptions::default());
    let (told, mut heard) = unbounded_channel();
    tokio::spawn(driver.run(move |control| told.send(number(&control)).unwrap()));
    for question in 0..3 {
        asking.send(numbered(question, 1)).await.unwrap();
        assert_eq!(heard.recv().await, Some(question));
    }
    // One as it begins.
    assert_eq!(turns.load(Ordering::Relaxed), 1 + 3);
    assert_eq!(asking.messages(), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_of_unlinks_go_with_what_comes_next_or_soon() {
    let (one, two) = linked().await;
    let (one, writes) = counted(one, vec![]);
    let (acknowledging, driver) = one.open(LinkOptions::default());
    tokio::spawn(driver.run(|_: Control| {}));
    let (_other, driver) = two.open(LinkOptions::default());
    let (told, mut heard) = unbounded_channel();
    tokio::spawn(driver.run(move |control| {
        told.send(match control {
            Control::UnlinkIdAck(ack) => i64::try_from(ack.id.get()).unwrap(),
            control => number(&control),
        })
        .unwrap();
    }));
    let acknowledge = |id| {
        let [from, to] = [("a@host", 5), ("b@host", 6)]
            .map(|(node, creation)| Pid::new(Atom::from_static(node), 1, 0, creation));
        let id = NonZeroU64::new(id).unwrap();
        let ack = control::UnlinkIdAck { from, to, id };
        acknowledging.send_now(Control::UnlinkIdAck(ack)).unwrap();
    };
    // The driver's first turn.
    tokio::task::yield_now().await;
    let began = tokio::time::Instant::now();

    acknowledge(1);
    tokio::task::yield_now().await;
    acknowledge(2);
    tokio::task::yield_now().await;
    assert_eq!(writes.load(Ordering::Relaxed), 0);
    acknowledging.try_send(&numbered(3, 1)).unwrap();
    acknowledge(4);
    for expected in 1..=4 {
        assert_eq!(heard.recv().await, Some(expected));
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    assert_eq!(began.elapsed(), Duration::ZERO);

    acknowledge(5);
    acknowledge(6);
    assert_eq!(heard.recv().await, Some(5));
    assert_eq!(heard.recv().await, Some(6));
    assert_eq!(writes.load(Ordering::Relaxed), 2);
    assert!(
        began.elapsed() <= Duration::from_millis(3),
        "{:?}",
        began.elapsed()
    );

    acknowledge(7);
    acknowledging.close();
    assert_eq!(heard.recv().await, Some(7));
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_ends_the_connection_with_the_first_reason() {
    let (one, two) = linked().await;
    let (one, _) = counted(one, vec![io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut]);
    let (answers, driver) = one.open(LinkOptions::default());
    let (asked, mut questions) = unbounded_channel();
    let running = tokio::spawn(driver.run(move |control| asked.send(number(&control)).unwrap()));
    let (asking, driver) = two.open(LinkOptions::default());
    tokio::spawn(driver.run(|_: Control| {}));
    asking.send(numbered(0, 1)).await.unwrap();
    questions.recv().await.unwrap();
    answers.try_send(&numbered(1, 1)).unwrap();
    let reason = running.await.unwrap();
    assert!(
        matches!(&reason, CloseReason::Io(error) if error.kind() == io::ErrorKind::TimedOut),
        "{reason:?}"
    );
}
