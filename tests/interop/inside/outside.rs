//! The line to the outside half: questions go out, replies come in, in any order.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::oneshot,
};

use crate::wire::{Answer, Ask, Question, Reply};

#[derive(Clone)]
pub(super) struct Outside {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Result<Answer, String>>>>,
}

impl Outside {
    /// Takes this program's standard streams for the line. When the outside half hangs up, the case's time is over:
    /// `last_words` are said and the program ends.
    pub(super) fn connect(last_words: fn()) -> Self {
        let shared = Arc::new(Shared::default());
        let outside = Self {
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            let mut replies = BufReader::new(tokio::io::stdin()).lines();
            while let Ok(Some(line)) = replies.next_line().await {
                let reply: Reply = serde_json::from_str(&line).expect("the outside half speaks our language");
                let asked = shared
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&reply.id);
                if let Some(asked) = asked {
                    asked.send(reply.answer).ok();
                }
            }
            last_words();
            std::process::exit(1);
        });
        outside
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<Answer, String> {
        let id = self.shared.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = oneshot::channel();
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, sender);
        let mut line = serde_json::to_string(&Question { id, ask }).map_err(|error| error.to_string())?;
        line.push('\n');
        // One write a line: lines of several tasks do not mix.
        std::io::stdout()
            .lock()
            .write_all(line.as_bytes())
            .map_err(|error| error.to_string())?;
        receiver
            .await
            .map_err(|_| "the outside half has gone".to_owned())?
    }

    /// Asks for something that has no answer but that it was done.
    pub(super) async fn done(&self, ask: Ask) {
        let what = format!("{ask:?}");
        if let Err(error) = self.ask(ask).await {
            panic!("{what}: {error}");
        }
    }
}
