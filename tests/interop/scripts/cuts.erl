%% What every node of a cluster sees, asked by a hidden node that no cut concerns: whom it is connected to, which names it has, and who
%% is a member. Processes are called by tags, {Phase, Node}, so that the views of two plays can be compared.
-module(cuts).
-export([mesh/3, join/1, members/3, rival/3, await/5, settle/6, await_cliques/3, events/4]).

-define(GROUP, members).

%% Every node has connected to every other and runs its scopes, [{Scope, Nodes}]; those that are Watched keep their node events. Who comes
%% later in the list joins later: OTP 23 does not say which version of `global` those speak that it tells others of, and OTP 25 and
%% later tell those of lost connections that are known to understand it.
mesh(Nodes, Watched, Scopes) ->
    [ok = groups:start(Scope, On) || {Scope, On} <- Scopes],
    [{ok, Node} = {rpc:call(Node, node_watch, start, []), Node} || Node <- Watched],
    [begin
        Joined = lists:sublist(Nodes, Count),
        join(Joined),
        ok = global_watch:await_views(Joined, 25000)
    end || Count <- lists:seq(2, length(Nodes))],
    ok.

%% Each asks for each of the others that it does not see.
join(Nodes) ->
    [rpc:call(One, net_adm, ping, [Other]) || One <- Nodes, Other <- Nodes, One < Other],
    ok.

%% A process on each of the nodes, registered by `global` there and a member in the scopes that run there: [{Pid, Tag, Scopes}].
members(Phase, Nodes, Scopes) ->
    [begin
        Pid = groups:spawn_on(Node),
        In = [Scope || {Scope, On} <- Scopes, lists:member(Node, On)],
        yes = rpc:call(Node, global, register_name, [{Phase, Node}, Pid]),
        [ok = rpc:call(Node, pg, join, [Scope, ?GROUP, Pid]) || Scope <- In],
        {Pid, {Phase, Node}, In}
    end || Node <- Nodes].

%% A process on the node that has this name by itself; if another turns out to have it too, neither keeps it.
rival(Name, Phase, Node) ->
    Pid = groups:spawn_on(Node),
    yes = rpc:call(Node, global, register_name, [Name, Pid, fun global:notify_all_name/3]),
    {Pid, {Phase, Node}, []}.

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
        There = [Member || {_, {_, Of}, _} = Member <- Members, Of =:= Node orelse lists:member(Of, Seen)],
        Names = [{Tag, Tag} || {_, Tag, _} <- There] ++
            [{rival, Tag} || {_, {_, Of} = Tag, _} <- Rivals, Of =:= Node orelse lists:member(Of, Seen)],
        Groups = [{Scope, lists:sort([Tag || {_, Tag, In} <- There, lists:member(Scope, In)])} ||
            Scope <- scopes(Node, Members)],
        {Node, Seen, lists:sort(Names), Groups}
    end || Node <- Nodes].

cut(One, Other, Cuts) -> lists:member({One, Other}, Cuts) orelse lists:member({Other, One}, Cuts).

%% Those in which the node has members.
scopes(Node, Members) -> lists:usort(lists:append([In || {_, {_, Of}, In} <- Members, Of =:= Node])).

view(Node, Members) ->
    Names = lists:sort(rpc:call(Node, global, registered_names, [])),
    Group = fun(Scope) -> rpc:call(Node, pg, get_members, [Scope, ?GROUP]) end,
    {Node,
     lists:sort(rpc:call(Node, erlang, nodes, [])),
     [{Name, tag(rpc:call(Node, global, whereis_name, [Name]), Members)} || Name <- Names],
     [{Scope, lists:sort([tag(Pid, Members) || Pid <- Group(Scope)])} || Scope <- scopes(Node, Members)]}.

tag(Pid, Members) ->
    case lists:keyfind(Pid, 1, Members) of
        {_, Tag, _} -> Tag;
        false -> Pid
    end.

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
