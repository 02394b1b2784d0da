%% What every node of a cluster sees, asked by a hidden node that no cut concerns: whom it is connected to, which names it has, and who
%% is a member. Processes are called by tags, {Phase, Node}, so that the views of two plays can be compared.
-module(cuts).
-export([mesh/2, join/1, members/2, rival/3, await/5, settle/6, await_cliques/3, events/4]).

-define(SCOPE, cuts).
-define(GROUP, members).

%% Every node has connected to every other and has the scope; those that are Watched keep their node events.
mesh(Nodes, Watched) ->
    groups:start(?SCOPE, Nodes),
    [{ok, Node} = {rpc:call(Node, node_watch, start, []), Node} || Node <- Watched],
    join(Nodes).

%% Each asks for each of the others that it does not see.
join(Nodes) ->
    [rpc:call(One, net_adm, ping, [Other]) || One <- Nodes, Other <- Nodes, One < Other],
    ok.

%% A process on each of the nodes, registered by `global` there and a member there: [{Pid, Tag}].
members(Phase, Nodes) ->
    [begin
        Pid = groups:spawn_on(Node),
        yes = rpc:call(Node, global, register_name, [{Phase, Node}, Pid]),
        ok = rpc:call(Node, pg, join, [?SCOPE, ?GROUP, Pid]),
        {Pid, {Phase, Node}}
    end || Node <- Nodes].

%% A process on the node that has this name by itself; if another turns out to have it too, neither keeps it.
rival(Name, Phase, Node) ->
    Pid = groups:spawn_on(Node),
    yes = rpc:call(Node, global, register_name, [Name, Pid, fun global:notify_all_name/3]),
    {Pid, {Phase, Node}}.

%% What all see, as soon as it is what is to be seen, or what it is at the end of the time: each node is connected to all but those
%% that it is cut from, and has the names and members of itself and of those. Rivals are those whose name is still theirs.
await(Nodes, Cuts, Members, Rivals, Limit) ->
    settle(Nodes, [], Cuts, Members, Rivals, Limit).

%% The same, while the nodes of each side ask for each other again and again, as people do after a fault of the network.
settle(Nodes, Sides, Cuts, Members, Rivals, Limit) ->
    Model = model(Nodes, Cuts, Members, Rivals),
    View = fun() ->
        lists:foreach(fun join/1, Sides),
        [view(Node, Members ++ Rivals) || Node <- Nodes]
    end,
    await(Model, View, erlang:monotonic_time(millisecond) + Limit).

model(Nodes, Cuts, Members, Rivals) ->
    [begin
        Seen = [Other || Other <- lists:sort(Nodes), Other =/= Node, not cut(Node, Other, Cuts)],
        Tags = [Tag || {_, {_, Of} = Tag} <- Members, Of =:= Node orelse lists:member(Of, Seen)],
        Names = [{Tag, Tag} || Tag <- Tags] ++
            [{rival, Tag} || {_, {_, Of} = Tag} <- Rivals, Of =:= Node orelse lists:member(Of, Seen)],
        {Node, Seen, lists:sort(Names), lists:sort(Tags)}
    end || Node <- Nodes].

cut(One, Other, Cuts) -> lists:member({One, Other}, Cuts) orelse lists:member({Other, One}, Cuts).

view(Node, Tags) ->
    Names = lists:sort(rpc:call(Node, global, registered_names, [])),
    Members = rpc:call(Node, pg, get_members, [?SCOPE, ?GROUP]),
    {Node,
     lists:sort(rpc:call(Node, erlang, nodes, [])),
     [{Name, tag(rpc:call(Node, global, whereis_name, [Name]), Tags)} || Name <- Names],
     lists:sort([tag(Pid, Tags) || Pid <- Members])}.

tag(Pid, Tags) -> proplists:get_value(Pid, Tags, Pid).

await(Model, View, End) ->
    Late = erlang:monotonic_time(millisecond) > End,
    case View() of
        Model -> {as_expected, Model};
        Other when Late -> {otherwise, Other};
        _ -> timer:sleep(50), await(Model, View, End)
    end.

%% Waits until no partitions overlap and none spans a cut: who sees two nodes, these see each other.
await_cliques(Nodes, Cuts, Limit) ->
    Edges = [{One, Other} || One <- Nodes, Other <- rpc:call(One, erlang, nodes, [])],
    Sees = fun(One, Other) -> One =:= Other orelse lists:member({One, Other}, Edges) end,
    Overlaps = [{One, Two, Three} || {One, Two} <- Edges, Three <- Nodes, Sees(Two, Three), not Sees(One, Three)],
    case Overlaps =:= [] andalso not lists:any(fun({One, Other}) -> cut(One, Other, Cuts) end, Edges) of
        true -> ok;
        false when Limit =< 0 -> {overlap, Overlaps, Edges};
        false -> timer:sleep(50), await_cliques(Nodes, Cuts, Limit - 50)
    end.

%% What was told on the node of the other, at least so many events.
events(Node, Other, Count, Limit) ->
    case rpc:call(Node, node_watch, await, [Other, Count, Limit]) of
        Events when is_list(Events) -> rpc:call(Node, node_watch, about, [Other]);
        NotYet -> NotYet
    end.
