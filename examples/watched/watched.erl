%% The Erlang half of the example: processes that monitor and link to a process in Rust, and are told how it ends.
-module(watched).
-export([monitored/1, linked/1]).

%% A monitor tells how a worker ended, whether by a fault or as it should.
monitored(Node) ->
    {ended(Node, words), ended(Node, stop)}.

ended(Node, Order) ->
    Worker = spawn(Node, worker, start, []),
    Monitor = monitor(process, Worker),
    Worker ! 17,
    Worker ! Order,
    receive {'DOWN', Monitor, process, Worker, Reason} -> Reason end.

%% A link ties the two together, in both directions.
linked(Node) ->
    process_flag(trap_exit, true),
    {taken_along(Node), told(Node, fun(Worker) -> Worker ! shutdown end), told(Node, fun(Worker) -> exit(Worker, kill) end)}.

%% The process here crashes, and the worker there with it.
taken_along(Node) ->
    {Worker, Monitor} = spawn_monitor(Node, worker, start, []),
    spawn(fun() -> link(Worker), exit(crash) end),
    receive {'DOWN', Monitor, process, Worker, Reason} -> Reason end.

%% The worker there ends, and the process here, which traps exits, has a message of it.
told(Node, End) ->
    Worker = spawn_link(Node, worker, start, []),
    End(Worker),
    receive {'EXIT', Worker, Reason} -> Reason end.
