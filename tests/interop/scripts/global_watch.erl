%% What the nodes of a cluster see of each other and of their names, and operations on names at random.
-module(global_watch).
-export([await_nodes/2, await_without/2, await_views/2, joined/2, views/1, sleeper/1, ends/1, rivals/2, kept/2, first/3, late/3, tardy/1, operate/3]).

%% `ok` once this node sees just these others.
await_nodes(Nodes, Limit) ->
    Wanted = lists:sort(lists:delete(node(), Nodes)),
    await(fun() -> lists:sort(nodes()) =:= Wanted end, fun() -> nodes() end, Limit).

%% `ok` once this node sees none of these.
await_without(Nodes, Limit) ->
    await(fun() -> Nodes -- nodes() =:= Nodes end, fun() -> nodes() end, Limit).

%% `ok` once every one of these nodes sees and knows all others and has the names that the others have.
await_views(Nodes, Limit) ->
    Sorted = lists:sort(Nodes),
    await(fun() -> agree(Sorted) end, fun() -> views(Sorted) end, Limit).

%% The same, while this node connects to all of them again and again, as people do after a fault of the network.
joined(Nodes, Limit) ->
    Sorted = lists:sort(Nodes),
    await(
        fun() ->
            [net_kernel:connect_node(Node) || Node <- Sorted -- [node() | nodes()]],
            agree(Sorted)
        end,
        fun() -> views(Sorted) end, Limit).

agree(Sorted) ->
    Views = views(Sorted),
    {_, _, _, Names} = hd(Views),
    lists:all(fun({_, Seen, Known, Has}) -> Seen =:= Sorted andalso Known =:= Sorted andalso Has =:= Names end, Views).

views(Nodes) -> [view(Node) || Node <- Nodes].

view(Node) ->
    Seen = case call(Node, erlang, nodes, []) of List when is_list(List) -> lists:sort([Node | List]); No -> No end,
    Known = case catch gen_server:call({global_name_server, Node}, get_known, 5000) of
        All when is_list(All) -> lists:sort([Node | All]);
        Other -> Other
    end,
    Names = case call(Node, global, registered_names, []) of
        Registered when is_list(Registered) ->
            lists:sort([{Name, call(Node, global, whereis_name, [Name])} || Name <- Registered]);
        None -> None
    end,
    {Node, Seen, Known, Names}.

call(Node, M, F, A) when Node =:= node() -> apply(M, F, A);
call(Node, M, F, A) -> rpc:call(Node, M, F, A, 5000).

await(Holds, Seen, Limit) -> await(Holds, Seen, Limit, erlang:monotonic_time(millisecond)).

await(Holds, Seen, Limit, Began) ->
    case Holds() of
        true -> ok;
        false ->
            case erlang:monotonic_time(millisecond) - Began > Limit of
                true -> {not_yet, Seen()};
                false -> timer:sleep(20), await(Holds, Seen, Limit, Began)
            end
    end.

%% A process on a node that does nothing until it is ended.
sleeper(Node) -> spawn(Node, timer, sleep, [infinity]).

%% Ends a process, which may be of any node; `ok` once it has.
ends(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok after 20000 -> lives end.

%% A process on the node for each method of resolving a conflict, registered under the method's name: [{Method, Pid}].
rivals(Node, Methods) ->
    [begin
        Pid = sleeper(Node),
        yes = call(Node, global, register_name, [Name, Pid, fun Module:Name/3]),
        {Name, Pid}
    end || {Module, Name} <- Methods].

%% What a conflict has left of a rival: {HasTheName, Messages}, or `ended`.
kept(Name, Pid) ->
    case call(node(Pid), erlang, process_info, [Pid, message_queue_len]) of
        {message_queue_len, Count} -> {global:whereis_name(Name) =:= Pid, Count};
        undefined -> ended
    end.

%% Resolves a conflict in favour of the process on the lesser node, and says so.
first(Name, One, Other) ->
    First = case node(One) < node(Other) of true -> One; false -> Other end,
    First ! {first, Name},
    First.

%% Resolves a conflict in favour of the process on the lesser node, after half a second.
late(_, One, Other) ->
    timer:sleep(500),
    case node(One) < node(Other) of true -> One; false -> Other end.

%% The name server of this node stands still for so many milliseconds, as soon as the node is locked for others to join.
tardy(Milliseconds) ->
    spawn(fun() -> tardy(whereis(global_name_server), Milliseconds) end),
    ok.

tardy(Server, Milliseconds) ->
    case ets:member(global_locks, global) of
        true ->
            erlang:suspend_process(Server),
            timer:sleep(Milliseconds),
            erlang:resume_process(Server);
        false -> timer:sleep(1), tardy(Server, Milliseconds)
    end.

%% So many operations on eight names at random, on this node and, by rpc, on another; `ok`.
operate(Other, Count, Seed) ->
    rand:seed(exsplus, {Seed, 1, 1}),
    lists:foldl(fun(_, Pids) -> operation(Other, rand:uniform(8), Pids) end, [], lists:seq(1, Count)),
    ok.

operation(Other, Name, Pids) ->
    Node = lists:nth(rand:uniform(2), [node(), Other]),
    case rand:uniform(6) of
        Few when Few =< 2 ->
            Pid = sleeper(lists:nth(rand:uniform(2), [node(), Other])),
            Answer = call(Node, global, register_name, [Name, Pid]),
            true = lists:member(Answer, [yes, no]),
            [Pid | Pids];
        3 ->
            Pid = sleeper(Other),
            yes = call(Node, global, re_register_name, [Name, Pid]),
            [Pid | Pids];
        4 ->
            ok = call(Node, global, unregister_name, [Name]),
            Pids;
        5 when Pids =/= [] ->
            exit(lists:nth(rand:uniform(length(Pids)), Pids), kill),
            Pids;
        _ ->
            Id = {shared, self()},
            done = global:trans(Id, fun() -> done end),
            Pids
    end.
