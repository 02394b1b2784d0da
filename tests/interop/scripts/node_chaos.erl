%% Processes that call, link, monitor and spawn on a node until it is killed: whatever was under way must end, and as one of its kind can.
-module(node_chaos).
-export([start/3, finish/2]).

%% So many processes begin, and each has been served once when this returns.
start(Node, Count, Seed) ->
    %% The first connection of a node starts what stays: name resolution and its like.
    put(before, case put(been, true) of true -> erlang:system_info(process_count); undefined -> infinity end),
    pong = net_adm:ping(Node),
    rand:seed(exsss, Seed),
    Me = self(),
    Pids = [spawn(fun() -> worker(Node, Me, One) end) || One <- [rand:uniform(1 bsl 40) || _ <- lists:seq(1, Count)]],
    [receive {Pid, served} -> ok end || Pid <- Pids],
    put(workers, Pids),
    ok.

%% The node is about to be killed, or has been: `ok` when all of them have seen it go, and nothing of it is left; or what was wrong.
finish(Node, Limit) ->
    Deadline = erlang:monotonic_time(millisecond) + Limit,
    Results = [receive {Pid, Result} -> Result
        after max(0, Deadline - erlang:monotonic_time(millisecond)) -> {hangs, process_info(Pid, [dictionary, current_stacktrace, messages])}
        end || Pid <- get(workers)],
    case [Wrong || Wrong <- Results, Wrong =/= ok] of
        [] -> settled(Node, Deadline);
        Wrong -> Wrong
    end.

%% The processes that went with the connection end a little later than it.
settled(Node, Deadline) ->
    case {erlang:system_info(process_count), get(before), lists:member(Node, nodes(connected))} of
        {Count, Before, false} when Count =< Before -> ok;
        Left ->
            case erlang:monotonic_time(millisecond) > Deadline of
                true -> {left, Left};
                false -> receive after 5 -> settled(Node, Deadline) end
            end
    end.

worker(Node, Parent, Seed) ->
    process_flag(trap_exit, true),
    rand:seed(exsss, Seed),
    Kernel = rpc:call(Node, erlang, whereis, [net_kernel]),
    Parent ! {self(), served},
    Parent ! {self(), rounds(Node, Kernel, kinds())}.

rounds(Node, Kernel, Kinds) ->
    Kind = lists:nth(rand:uniform(length(Kinds)), Kinds),
    put(kind, Kind),
    case attempt(Kind, Node, Kernel) of
        there -> rounds(Node, Kernel, Kinds);
        gone -> left(Kind);
        Wrong -> {Kind, Wrong}
    end.

%% Nothing of what was done stays with who did it.
left(Kind) ->
    case process_info(self(), [message_queue_len, links, monitors, monitored_by]) of
        [{message_queue_len, 0}, {links, []}, {monitors, []}, {monitored_by, []}] -> ok;
        Left -> {Kind, Left, process_info(self(), messages)}
    end.

kinds() ->
    [erpc, rpc, block_call, multicall, erpc_multicall, send_request, call, call_pid, multi_call, server_request, spawned, linked, requested,
     abandoned, monitored, link, node, rpc, erpc, call, spawned, linked, requested, monitored, sleep, erpc_sleep].

attempt(Kind, Node, Kernel) ->
    try act(Kind, Node, Kernel) catch Class:Reason -> raised(Kind, Node, Kernel, Class, Reason) end.

raised(erpc, _, _, error, {erpc, noconnection}) -> gone;
raised(send_request, _, _, error, {erpc, noconnection}) -> gone;
raised(erpc_sleep, _, _, error, {erpc, noconnection}) -> gone;
raised(call, Node, _, exit, {{nodedown, Node}, {gen_server, call, [{net_kernel, Node}, {is_auth, _}, infinity]}}) -> gone;
raised(call_pid, Node, Kernel, exit, {{nodedown, Node}, {gen_server, call, [Kernel, {is_auth, _}, infinity]}}) -> gone;
raised(_, _, _, Class, Reason) -> {Class, Reason}.

act(erpc, Node, _) -> true = erpc:call(Node, erlang, is_alive, []), there;
act(rpc, Node, _) -> result(rpc:call(Node, erlang, is_alive, []), true, {badrpc, nodedown});
act(block_call, Node, _) -> result(rpc:block_call(Node, erlang, is_alive, []), true, {badrpc, nodedown});
act(sleep, Node, _) -> result(rpc:call(Node, timer, sleep, [infinity]), never, {badrpc, nodedown});
act(erpc_sleep, Node, _) -> {erpc:receive_response(erpc:send_request(Node, timer, sleep, [infinity]))};
act(multicall, Node, _) -> result(rpc:multicall([node(), Node], erlang, is_alive, []), {[true, true], []}, {[true], [Node]});
act(erpc_multicall, Node, _) ->
    result(erpc:multicall([Node, node()], erlang, is_alive, []), [{ok, true}, {ok, true}], [{error, {erpc, noconnection}}, {ok, true}]);
act(send_request, Node, _) -> true = erpc:receive_response(erpc:send_request(Node, erlang, is_alive, [])), there;
act(call, Node, _) -> yes = gen_server:call({net_kernel, Node}, {is_auth, node()}, infinity), there;
act(call_pid, _, Kernel) -> yes = gen_server:call(Kernel, {is_auth, node()}, infinity), there;
act(multi_call, Node, _) -> result(gen_server:multi_call([Node], net_kernel, {is_auth, node()}), {[{Node, yes}], []}, {[], [Node]});
act(server_request, Node, _) ->
    Request = gen_server:send_request({net_kernel, Node}, {is_auth, node()}),
    result(gen_server:wait_response(Request, infinity), {reply, yes}, {error, {noconnection, {net_kernel, Node}}});
act(spawned, Node, _) ->
    {Pid, Monitor} = spawn_monitor(Node, timer, sleep, [infinity]),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, Reason} -> result(Reason, killed, noconnection) end;
act(linked, Node, _) ->
    Pid = spawn_link(Node, timer, sleep, [infinity]),
    exit(Pid, bye),
    receive {'EXIT', Pid, Reason} -> result(Reason, bye, noconnection) end;
act(requested, Node, _) ->
    Request = spawn_request(Node, erlang, is_alive, [], [monitor, link]),
    receive
        {spawn_reply, Request, ok, Pid} ->
            receive {'DOWN', Request, process, Pid, Reason} -> ok end,
            receive {'EXIT', Pid, Reason} -> ok end,
            result(Reason, normal, noconnection);
        {spawn_reply, Request, error, Reason} -> result(Reason, never, noconnection)
    end;
act(abandoned, Node, _) ->
    Request = spawn_request(Node, erlang, is_alive, [], [monitor, {reply_tag, abandoned}]),
    case spawn_request_abandon(Request) of
        true -> there;
        %% The answer is here already.
        false ->
            receive
                {abandoned, Request, ok, _} -> receive {'DOWN', Request, process, _, Reason} -> result(Reason, normal, noconnection) end;
                {abandoned, Request, error, Reason} -> result(Reason, never, noconnection)
            end
    end;
act(monitored, Node, _) ->
    Monitor = monitor(process, {echo, Node}),
    {echo, Node} ! {self(), Monitor},
    Seen = receive {echo, Monitor} -> there; {'DOWN', Monitor, process, {echo, Node}, Reason} -> result(Reason, never, noconnection) end,
    demonitor(Monitor, [flush]),
    Seen;
act(link, _, Kernel) ->
    link(Kernel),
    unlink(Kernel),
    receive {'EXIT', Kernel, Reason} -> result(Reason, never, noconnection) after 0 -> there end;
act(node, Node, _) ->
    true = monitor_node(Node, true),
    Seen = attempt(erpc, Node, none),
    monitor_node(Node, false),
    receive {nodedown, Node} -> gone after 0 -> Seen end.

result(There, There, _) -> there;
result(Gone, _, Gone) -> gone;
result(Other, There, Gone) -> {Other, There, Gone}.
