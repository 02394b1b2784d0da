%% A state machine, an event manager with a handler, and a server that counts.
-module(call_kinds).
-export([start/0, counter/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_event/2, handle_call/2, handle_info/2, terminate/2, code_change/3]).
-export([callback_mode/0, closed/3, open/3]).

start() ->
    Ready = self(),
    Pid = spawn(fun() ->
        {ok, _} = gen_statem:start({local, door}, ?MODULE, statem, []),
        {ok, _} = gen_event:start({local, events}),
        ok = gen_event:add_handler(events, ?MODULE, event),
        {ok, _} = gen_server:start({local, counter}, ?MODULE, counter, []),
        Ready ! {self(), ok}
    end),
    receive {Pid, ok} -> ok end.

counter() -> {ok, Pid} = gen_server:start(?MODULE, counter, []), Pid.

init(statem) -> {ok, closed, 0};
init(event) -> {ok, []};
init(counter) -> {ok, 0}.

handle_call(next, _From, Count) -> {reply, Count + 1, Count + 1}.
handle_cast({set, Count}, _) -> {noreply, Count}.
handle_info(_, State) -> {noreply, State}.

handle_event(Event, Seen) -> {ok, [Event | Seen]}.
handle_call(seen, Seen) -> {ok, lists:reverse(Seen), Seen}.

callback_mode() -> state_functions.
closed({call, From}, open, Times) -> {next_state, open, Times + 1, [{reply, From, {opened, Times + 1}}]}.
open(cast, close, Times) -> {next_state, closed, Times}.

terminate(_, _) -> ok.
code_change(_, State, _) -> {ok, State}.
