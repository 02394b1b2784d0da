%% Messages to the process `echo` of a node and back, of kinds that a connection has to take care of: many atoms, large ones, both.
-module(traffic).
-export([atoms/1, fragments/1, large_beside_small/1, traced/1, stuck/1]).

-define(PATIENCE, 25000).

%% Messages of 0 to 300 atoms, of 1 to 255 characters, of more different ones than a cache holds.
atoms(Node) ->
    Short = fun(N) -> list_to_atom("atom" ++ integer_to_list(N)) end,
    Long = fun(N) -> list_to_atom(integer_to_list(1000 + N) ++ lists:duplicate(251, 1078)) end,
    Messages =
        [[Short(N) || N <- lists:seq(1, Count)] || Count <- [0, 1, 2, 3, 250, 253, 254, 255, 256, 257, 300]] ++
        [[Long(N) || N <- lists:seq(1, Count)] || Count <- [1, 2, 255, 300]] ++
        [[Short(N), Long(N), Short(N + 1)] || N <- lists:seq(1, 20)] ++
        [[Short(Round * 100 + N) || N <- lists:seq(1, 120)] || Round <- lists:seq(1, 40)] ++
        [[Short(N) || N <- lists:seq(1, 4100)], [Short(N) || N <- lists:seq(1, 20)]],
    Echo = {echo, Node},
    [Echo ! {self(), Message} || Message <- Messages],
    Back = [receive {echo, Message} -> Message after ?PATIENCE -> lost end || _ <- Messages],
    case Back of Messages -> ok; _ -> {other, [length(M) || {M, B} <- lists:zip(Messages, Back), M =/= B]} end.

%% Eight processes, each with large and small messages in turn.
fragments(Node) ->
    Sizes = [10, 70000, 1, 3000000, 0, 65536, 65500, 65000, 300000, 5, 1000000],
    Workers = [spawn_monitor(fun() -> exit(worker(Node, N, Sizes)) end) || N <- lists:seq(1, 8)],
    Ends = [receive {'DOWN', Ref, process, Pid, End} -> End end || {Pid, Ref} <- Workers],
    case lists:usort(Ends) of [ok] -> ok; Other -> Other end.

worker(Node, Number, Sizes) ->
    Messages = [{N, Size, binary:copy(<<(Number + N)>>, Size)} || {N, Size} <- lists:zip(lists:seq(1, length(Sizes)), Sizes)],
    [{echo, Node} ! {self(), Message} || Message <- Messages],
    Back = [receive {echo, Message} -> Message after ?PATIENCE -> lost end || _ <- Messages],
    case Back of Messages -> ok; _ -> {other, [{N, S} || {{N, S, _}, B} <- lists:zip(Messages, Back), not lists:member(B, Messages)]} end.

%% While one process has large messages under way there and back all the time, another is answered many times.
large_beside_small(Node) ->
    Large = binary:copy(<<7>>, 16000000),
    {Streamer, Ref} = spawn_monitor(fun() -> exit(stream(Node, Large)) end),
    ok = pings(Node, 20),
    Streamer ! stop,
    receive {'DOWN', Ref, process, Streamer, End} -> End end.

stream(Node, Large) ->
    {echo, Node} ! {self(), Large},
    receive {echo, Large} -> ok after ?PATIENCE -> exit(lost) end,
    receive stop -> ok after 0 -> stream(Node, Large) end.

pings(_, 0) -> ok;
pings(Node, N) ->
    {echo, Node} ! {self(), N},
    receive {echo, N} -> pings(Node, N - 1) after ?PATIENCE -> lost end.

%% With a token of seq_trace on the message, to a name and to a pid; and links and exits under one.
traced(Node) ->
    seq_trace:set_token(label, {any, "term", 1}),
    {echo, Node} ! {self(), {traced, self()}},
    receive {echo, {traced, _}} -> ok end,
    Pid = rpc:call(Node, erlang, whereis, [echo]),
    Pid ! {self(), again},
    receive {echo, again} -> ok end,
    large = (fun() -> Pid ! {self(), {large, binary:copy(<<1>>, 200000)}}, receive {echo, {L, _}} -> L end end)(),
    process_flag(trap_exit, true),
    Sleeper = spawn_link(Node, timer, sleep, [infinity]),
    exit(Sleeper, kill),
    receive {'EXIT', Sleeper, killed} -> ok end,
    seq_trace:set_token([]),
    ok.

%% Sends more than a node that does not read can be sent; `ok` once the first part of it is under way and the rest waits here.
stuck(Node) ->
    spawn(fun() -> {echo, Node} ! {self(), binary:copy(<<1>>, 64000000)} end),
    {Node, Port} = lists:keyfind(Node, 1, erlang:system_info(dist_ctrl)),
    await_queued(Port).

await_queued(Port) ->
    case erlang:port_info(Port, queue_size) of
        {queue_size, 0} -> timer:sleep(10), await_queued(Port);
        {queue_size, _} -> ok
    end.
