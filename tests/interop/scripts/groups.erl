%% Process groups of several nodes, worked on from one of them by rpc: it is the same to it what a node is. Every operation is
%% noted in a model, and what each node sees is compared with that.
-module(groups).
-export([start/2, connect/1, play/4, view/2, await/3, spawn_on/1, kill/1, join/4, leave/4, rpc/4, next/1]).

%% The scope runs on each node afterwards.
start(Scope, Nodes) ->
    lists:foreach(fun(Node) -> {ok, _} = rpc(Node, pg, start, [Scope]) end, Nodes).

%% Every two of the nodes are connected afterwards.
connect(Nodes) ->
    lists:foreach(fun({One, Other}) ->
        pong = rpc(One, net_adm, ping, [Other])
    end, [{One, Other} || One <- Nodes, Other <- Nodes, One < Other]).

%% So many operations on each node, at random from Seed, by two players at once on each. What the nodes' processes are members of
%% in the end: [{Group, [Pid]}].
play(Scope, Nodes, Count, Seed) ->
    Me = self(),
    Players = [{Node, Number} || Node <- Nodes, Number <- [1, 2]],
    Started = [spawn_monitor(fun() ->
        rand:seed(exsplus, {Seed, erlang:phash2(Player), 7}),
        exit({played, player(Scope, element(1, Player), Count, [], [])})
    end) || Player <- Players],
    Models = [receive {'DOWN', Monitor, process, Pid, {played, Model}} -> Model;
                      {'DOWN', Monitor, process, Pid, Other} -> exit(Me, Other), error(Other)
              end || {Pid, Monitor} <- Started],
    model(lists:append(Models)).

%% Members is a list of {Group, Pid}, one for each time that the process joined.
player(_, _, 0, _, Members) -> Members;
player(Scope, Node, Count, Pids, Members) ->
    Group = lists:nth(rand:uniform(4), [red, {green, 1}, <<"blue">>, [yellow]]),
    case rand:uniform(10) of
        N when N =< 3; Pids =:= [] ->
            Pid = spawn_on(Node),
            player(Scope, Node, Count - 1, [Pid | Pids], join(Scope, Node, Group, Pid) ++ Members);
        N when N =< 6 ->
            Some = some(Pids),
            player(Scope, Node, Count - 1, Pids, join(Scope, Node, Group, Some) ++ Members);
        N when N =< 9 ->
            Some = some(Pids),
            Left = Members -- [{Group, Pid} || Pid <- Some],
            Expected = case Left of Members -> not_joined; _ -> ok end,
            Expected = rpc(Node, pg, leave, [Scope, Group, Some]),
            player(Scope, Node, Count - 1, Pids, Left);
        10 ->
            Pid = lists:nth(rand:uniform(length(Pids)), Pids),
            ok = kill(Pid),
            player(Scope, Node, Count - 1, lists:delete(Pid, Pids), [Member || {_, P} = Member <- Members, P =/= Pid])
    end.

%% One to three of them, one perhaps several times.
some(Pids) -> [lists:nth(rand:uniform(length(Pids)), Pids) || _ <- lists:seq(1, rand:uniform(3))].

%% A process of the node that lives until it is killed.
spawn_on(Node) -> spawn(Node, timer, sleep, [infinity]).

kill(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

join(Scope, Node, Group, PidOrPids) ->
    ok = rpc(Node, pg, join, [Scope, Group, PidOrPids]),
    [{Group, Pid} || Pid <- lists:flatten([PidOrPids])].

leave(Scope, Node, Group, PidOrPids) -> rpc(Node, pg, leave, [Scope, Group, PidOrPids]).

%% A view from {Group, Pid}.
model(Members) ->
    Groups = lists:usort([Group || {Group, _} <- Members]),
    [{Group, lists:sort([Pid || {G, Pid} <- Members, G =:= Group])} || Group <- Groups].

%% What a node sees.
view(Scope, Node) ->
    Groups = lists:sort(rpc(Node, pg, which_groups, [Scope])),
    [{Group, lists:sort(rpc(Node, pg, get_members, [Scope, Group]))} || Group <- Groups].

%% Waits until every node sees the same as the model.
await(Scope, Nodes, Members) -> await(Scope, Nodes, Members, erlang:monotonic_time(millisecond) + 25000).

await(Scope, Nodes, Members, End) ->
    Model = case Members of [{_, Pids} | _] when is_list(Pids) -> Members; _ -> model(Members) end,
    Wrong = [{Node, View} || Node <- Nodes, (View = view(Scope, Node)) =/= Model],
    case {Wrong, erlang:monotonic_time(millisecond) > End} of
        {[], _} -> ok;
        {_, true} -> {expected, Model, seen, Wrong};
        _ -> receive after 20 -> await(Scope, Nodes, Members, End) end
    end.

rpc(Node, Module, Function, Arguments) when Node =:= node() -> apply(Module, Function, Arguments);
rpc(Node, Module, Function, Arguments) -> rpc:call(Node, Module, Function, Arguments).

%% The next message with this reference.
next(Reference) ->
    receive
        {Reference, Kind, Group, Pids} -> {Kind, Group, lists:sort(Pids)}
    after 25000 -> none
    end.
