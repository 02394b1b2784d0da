%% Keeps every node event of this node, in order.
-module(node_watch).
-export([start/0, about/1, await/3, watchers/1, told/2, speak/2]).

start() ->
    Ready = self(),
    Pid = spawn(fun() ->
        true = register(?MODULE, self()),
        ok = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
        Ready ! {self(), watching},
        loop([], [])
    end),
    receive {Pid, watching} -> ok end.

%% What has happened to a node so far: [{up, Type} | {down, Type, Reason}].
about(Node) ->
    ?MODULE ! {about, self(), Node},
    receive {?MODULE, Events} -> Events end.

%% The first so many events about a node, once they have happened; or not within a time, in milliseconds. What comes after them
%% is not told: `global`, for one, may ask by itself for a node that was just disconnected.
await(Node, Count, Limit) ->
    ?MODULE ! {await, self(), Node, Count},
    receive {?MODULE, Events} -> Events
    after Limit -> {not_yet, about(Node)}
    end.

loop(Events, Waiting) ->
    receive
        {nodeup, Node, Info} ->
            happened({Node, {up, proplists:get_value(node_type, Info)}}, Events, Waiting);
        {nodedown, Node, Info} ->
            Type = proplists:get_value(node_type, Info),
            happened({Node, {down, Type, proplists:get_value(nodedown_reason, Info)}}, Events, Waiting);
        {about, From, Node} ->
            From ! {?MODULE, of_node(Node, Events)},
            loop(Events, Waiting);
        {await, From, Node, Count} ->
            loop(Events, serve([{From, Node, Count} | Waiting], Events))
    end.

happened(Event, Events, Waiting) ->
    loop([Event | Events], serve(Waiting, [Event | Events])).

serve(Waiting, Events) ->
    lists:filter(fun({From, Node, Count}) ->
        Happened = of_node(Node, Events),
        case length(Happened) >= Count of
            true -> From ! {?MODULE, lists:sublist(Happened, Count)}, false;
            false -> true
        end
    end, Waiting).

of_node(Node, Events) -> [Event || {N, Event} <- lists:reverse(Events), N =:= Node].

%% A process for each list of options of `net_kernel:monitor_nodes/2`, under the names watch1, watch2 and so on.
watchers(Options) ->
    Me = self(),
    [receive {watching, Number} -> ok end || {Number, Each} <- lists:zip(lists:seq(1, length(Options)), Options),
        is_pid(spawn(fun() ->
            true = register(name(Number), self()),
            ok = net_kernel:monitor_nodes(true, Each),
            Me ! {watching, Number},
            receive {tell, From, Count} -> From ! {told, Number, [next() || _ <- lists:seq(1, Count)]} end
        end))],
    ok.

name(Number) -> list_to_atom("watch" ++ integer_to_list(Number)).

%% All but what asks for it.
next() -> receive {tell, _, _} = Tell -> self() ! Tell, next(); Message -> Message after 20000 -> nothing_more end.

%% The first so many messages of each watcher.
told(Number, Count) ->
    name(Number) ! {tell, self(), Count},
    receive {told, Number, Messages} -> Messages end.

%% Three messages to each of so many watchers of a node.
speak(Node, Watchers) ->
    [{name(Number), Node} ! {node(), Count} || Number <- lists:seq(1, Watchers), Count <- [1, 2, 3]],
    ok.
