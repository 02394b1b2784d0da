%% Processes that link, unlink and monitor others, and one that outlives them all.
-module(restless).
-export([start/0, held/0, act/1]).

%% Starts the one that lasts, under the name of this module.
start() ->
    Starter = self(),
    Pid = spawn(fun() ->
        process_flag(trap_exit, true),
        true = register(?MODULE, self()),
        Starter ! {self(), started},
        last()
    end),
    receive {Pid, started} -> Pid end.

last() ->
    receive
        {link, Pid} -> link(Pid);
        {unlink, Pid} -> unlink(Pid);
        {monitor, Pid} -> monitor(process, Pid);
        {spawn, Node} -> spawn_request(Node, brief, life, [], [link, monitor]);
        {held, From} -> From ! {held, [process_info(self(), Item) || Item <- [links, monitors, monitored_by]]};
        _ -> ok
    end,
    last().

%% What it has of others.
held() ->
    ?MODULE ! {held, self()},
    receive {held, Held} -> Held end.

%% Does a few things to others, at random, and ends.
act(Others) ->
    process_flag(trap_exit, rand:uniform(2) =:= 1),
    [act(rand:uniform(5), lists:nth(rand:uniform(length(Others)), Others)) || _ <- lists:seq(1, rand:uniform(8))],
    exit(done).

act(1, Pid) -> catch link(Pid);
act(2, Pid) -> unlink(Pid);
act(3, Pid) -> monitor(process, Pid);
act(4, Pid) -> demonitor(monitor(process, Pid), [flush]);
act(5, Pid) -> catch link(Pid), unlink(Pid).
