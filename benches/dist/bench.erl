%% The BEAM half of the bench: a player that does what its standard input says, a line each, and answers with a line of numbers.
-module(bench).
-export([start/0]).

start() ->
    register(sink, spawn(fun sink/0)),
    register(echo, spawn(fun echo/0)),
    spawn(fun() -> io:format("ready ~s~n", [node()]), commands() end).

commands() ->
    case io:get_line("") of
        Line when is_list(Line) ->
            [Verb, Peer | Numbers] = string:lexemes(string:trim(Line), " "),
            Result = run(Verb, list_to_atom(Peer), [list_to_integer(N) || N <- Numbers]),
            io:format("=~s~n", [[io_lib:format(" ~w", [N]) || N <- Result]]),
            commands();
        _ -> halt()
    end.

%% Takes everything; whoever sends {From, done} hears of it.
sink() ->
    receive
        {From, pid} -> From ! {pid, self()};
        {From, done} -> From ! done;
        _ -> ok
    end,
    sink().

echo() ->
    receive
        {From, pid} -> From ! {pid, self()};
        {From, Message} -> From ! Message
    end,
    echo().

pid(Name, Node) ->
    {Name, Node} ! {self(), pid},
    receive {pid, Pid} -> Pid end.

%% Microseconds until everything that all the senders have sent is with the sink.
run("send", Node, [Senders, Count, Size]) ->
    Sink = pid(sink, Node),
    Binary = binary:copy(<<7>>, Size),
    Start = now_us(),
    All = [spawn_monitor(fun() -> send(Sink, Binary, Count div Senders) end) || _ <- lists:seq(1, Senders)],
    [receive {'DOWN', Ref, process, Pid, normal} -> ok end || {Pid, Ref} <- All],
    [now_us() - Start];
run("ping", Node, [Count]) ->
    [percentile(pings(pid(echo, Node), Count), 50)];
%% Round trips while large messages stream.
run("stream", Node, [Count, Size]) ->
    Sink = pid(sink, Node),
    Binary = binary:copy(<<7>>, Size),
    {Streamer, Ref} = spawn_monitor(fun() -> stream(Sink, Binary) end),
    Times = pings(pid(echo, Node), Count),
    Streamer ! stop,
    receive {'DOWN', Ref, process, Streamer, _} -> ok end,
    [percentile(Times, 50), percentile(Times, 99)];
%% Nanoseconds to connect.
run("connect", Node, [Count]) ->
    ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
    disconnect(Node),
    Times = [connect(Node) || _ <- lists:seq(1, Count)],
    ok = net_kernel:monitor_nodes(false, [{node_type, all}]),
    flush(),
    [percentile(Times, 50)].

send(Sink, _, 0) ->
    Sink ! {self(), done},
    receive done -> ok end;
send(Sink, Binary, Count) ->
    Sink ! Binary,
    send(Sink, Binary, Count - 1).

stream(Sink, Binary) ->
    Sink ! Binary,
    receive stop -> send(Sink, Binary, 0) after 0 -> stream(Sink, Binary) end.

pings(Echo, Count) ->
    [begin
         Start = now_ns(),
         Echo ! {self(), ping},
         receive ping -> now_ns() - Start end
     end || _ <- lists:seq(1, Count)].

connect(Node) ->
    Start = now_ns(),
    true = net_kernel:hidden_connect_node(Node),
    Time = now_ns() - Start,
    disconnect(Node),
    Time.

disconnect(Node) ->
    case erlang:disconnect_node(Node) of
        true -> receive {nodedown, Node, _} -> timer:sleep(1) end;
        false -> ok
    end.

flush() ->
    receive {nodeup, _, _} -> flush(); {nodedown, _, _} -> flush() after 0 -> ok end.

percentile(Times, P) ->
    lists:nth(max(1, length(Times) * P div 100), lists:sort(Times)).

now_us() -> erlang:monotonic_time(microsecond).
now_ns() -> erlang:monotonic_time(nanosecond).
