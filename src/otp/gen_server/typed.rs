//! Servers whose requests and answers are Rust types, by serde.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::call::Caller;
use super::{Context, GenServer, unexpected};
use crate::etf::{Mapping, from_term};
use crate::node::{ExitReason, Message, Process};
use crate::term::Term;

/// A server whose requests and answers are Rust types; [`Typed`] makes a [`GenServer`] of it.
///
/// ```no_run
/// use beamnode::node::{ExitReason, Node};
/// use beamnode::otp::{Answer, Context, Typed, TypedServer};
/// use serde::{Deserialize, Serialize};
///
/// /// `{deposit, 10}`, `balance`
/// #[derive(Deserialize)]
/// #[serde(rename_all = "snake_case")]
/// enum Request {
///     Deposit(u64),
///     Balance,
/// }
///
/// struct Account(u64);
///
/// impl TypedServer for Account {
///     type Call = Request;
///     type Reply = u64;
///     type Cast = Request;
///
///     async fn call(&mut self, _: &mut Context, request: Request, _: Answer<u64>) -> Result<Option<u64>, ExitReason> {
///         if let Request::Deposit(amount) = request {
///             self.0 += amount;
///         }
///         Ok(Some(self.0))
///     }
/// }
///
/// # fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
/// // gen_server:call({account, 'rust@build'}, {deposit, 10})
/// node.start_server("account", Typed(Account(0)))?;
/// # Ok(())
/// # }
/// ```
pub trait TypedServer: Send + Sized + 'static {
    /// What it is called with.
    type Call: DeserializeOwned + Send;
    /// What it answers.
    type Reply: Serialize + Send;
    /// What is cast to it.
    type Cast: DeserializeOwned + Send;

    /// As [`GenServer::init`].
    fn init(&mut self, context: &mut Context) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// As [`GenServer::call`]; `answer` is for answering later.
    fn call(
        &mut self,
        context: &mut Context,
        request: Self::Call,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = Result<Option<Self::Reply>, ExitReason>> + Send;

    /// As [`GenServer::cast`]. What is cast is ignored unless this is written.
    fn cast(
        &mut self,
        context: &mut Context,
        request: Self::Cast,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = (context, request);
        async { Ok(()) }
    }

    /// A request that is none of the type's values, with `from` for a call. The server ends, as one in Erlang does for which no clause fits,
    /// unless this says otherwise.
    fn misfit(
        &mut self,
        context: &mut Context,
        request: Term,
        from: Option<&Caller>,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = context;
        let kind = if from.is_some() { "call" } else { "cast" };
        async move { Err(unexpected(kind, request)) }
    }

    /// As [`GenServer::info`].
    fn info(
        &mut self,
        context: &mut Context,
        message: Message,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        super::unasked(context, &message);
        async { Ok(()) }
    }

    /// As [`GenServer::timed_out`].
    fn timed_out(&mut self, context: &mut Context) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// As [`GenServer::continued`].
    fn continued(
        &mut self,
        context: &mut Context,
        continuation: Term,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = context;
        async move { Err(unexpected("continue", continuation)) }
    }

    /// As [`GenServer::terminate`].
    fn terminate(&mut self, context: &mut Context, reason: &ExitReason) -> impl Future<Output = ()> + Send {
        let _ = (context, reason);
        async {}
    }

    /// As [`GenServer::state`].
    fn state(&self) -> Term {
        Term::atom("undefined")
    }

    /// What text and absent values are written as in answers; binaries and `nil` unless said otherwise.
    fn mapping(&self) -> Mapping {
        Mapping::new()
    }
}

/// A [`TypedServer`] as a [`GenServer`].
#[derive(Debug, Clone)]
pub struct Typed<S>(pub S);

impl<S: TypedServer> GenServer for Typed<S> {
    async fn init(&mut self, context: &mut Context) -> Result<(), ExitReason> {
        self.0.init(context).await
    }

    async fn call(
        &mut self,
        context: &mut Context,
        request: Term,
        from: &Caller,
    ) -> Result<Option<Term>, ExitReason> {
        let Ok(call) = from_term(&request) else {
            self.0.misfit(context, request, Some(from)).await?;
            return Ok(None);
        };
        let mapping = self.0.mapping();
        let answer = Answer {
            from: from.clone(),
            mapping,
            reply: PhantomData,
        };
        match self.0.call(context, call, answer).await? {
            Some(reply) => Ok(Some(mapping.to_term(&reply)?)),
            None => Ok(None),
        }
    }

    async fn cast(&mut self, context: &mut Context, request: Term) -> Result<(), ExitReason> {
        match from_term(&request) {
            Ok(cast) => self.0.cast(context, cast).await,
            Err(_) => self.0.misfit(context, request, None).await,
        }
    }

    async fn info(&mut self, context: &mut Context, message: Message) -> Result<(), ExitReason> {
        self.0.info(context, message).await
    }

    async fn timed_out(&mut self, context: &mut Context) -> Result<(), ExitReason> {
        self.0.timed_out(context).await
    }

    async fn continued(&mut self, context: &mut Context, continuation: Term) -> Result<(), ExitReason> {
        self.0.continued(context, continuation).await
    }

    async fn terminate(&mut self, context: &mut Context, reason: &ExitReason) {
        self.0.terminate(context, reason).await;
    }

    fn state(&self) -> Term {
        self.0.state()
    }
}

/// The answer to a call, to be given later: `gen_server:reply/2`.
#[derive(Debug, Clone)]
pub struct Answer<R> {
    from: Caller,
    mapping: Mapping,
    reply: PhantomData<fn(R)>,
}

impl<R: Serialize> Answer<R> {
    /// Who called.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.from
    }

    /// Answers the call, in the name of `server`. Does not wait.
    ///
    /// # Errors
    /// When the answer has no form as a term.
    pub fn give(self, server: &Process, reply: &R) -> Result<(), crate::etf::SerdeError> {
        self.from.reply(server, self.mapping.to_term(reply)?);
        Ok(())
    }
}
