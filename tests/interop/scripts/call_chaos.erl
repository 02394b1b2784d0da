%% Calls whose servers, callers and connections are ended at random moments: each call must end, and as one of its kind can.
-module(call_chaos).
-export([run/3, gone/3, flat/2, via/0, whereis_name/1, send/2, register_name/2, unregister_name/1]).

%% Rounds calls of servers of Node, which `chaos:server/0` starts there; 16 at a time. `ok`, or what was wrong.
run(Node, Rounds, Seed) ->
    rand:seed(exsss, Seed),
    Seeds = [rand:uniform(1 bsl 40) || _ <- lists:seq(1, 16)],
    Me = self(),
    Pids = [spawn_link(fun() -> rand:seed(exsss, One), Me ! {self(), rounds(Node, Rounds div 16)} end) || One <- Seeds],
    case lists:usort([receive {Pid, Result} -> Result end || Pid <- Pids]) of
        [ok] -> ok;
        Other -> {Seed, Other}
    end.

rounds(_, 0) ->
    late(erlang:system_info(otp_release)),
    case process_info(self(), [message_queue_len, monitors, links]) of
        [{message_queue_len, 0}, {monitors, []}, {links, [_]}] -> ok;
        Left -> {left, Left, process_info(self(), messages)}
    end;
rounds(Node, Rounds) ->
    case round(Node, rand:uniform(4)) of
        ok -> rounds(Node, Rounds - 1);
        Wrong -> Wrong
    end.

%% Before aliases, a reply that comes after its caller was told of the end stays in the mailbox.
late("23") -> receive {Ref, _} when is_reference(Ref) -> late("23") after 0 -> ok end;
late(_) -> ok.

%% The server is killed at some moment of a call.
round(Node, 1) ->
    Server = erpc:call(Node, chaos, server, []),
    Killer = spawn(fun() -> spin(rand:uniform(300)), exit(Server, kill) end),
    Result = try gen_server:call(Server, {echo, Killer}, 60000) catch exit:Why -> {exit, Why} end,
    case Result of
        Killer -> ok;
        {exit, {killed, {gen_server, call, [Server, {echo, Killer}, 60000]}}} -> ok;
        {exit, {noproc, {gen_server, call, [Server, {echo, Killer}, 60000]}}} -> ok;
        Other -> {server, Other}
    end;
%% The server ends by itself in the middle of it.
round(Node, 2) ->
    Server = erpc:call(Node, chaos, server, []),
    case catch gen_server:call(Server, {stop, tired}, 60000) of
        {'EXIT', {tired, {gen_server, call, [Server, {stop, tired}, 60000]}}} -> ok;
        Other -> {stop, Other}
    end;
%% The caller is killed at some moment of it, and who watches it hears of that alone.
round(Node, 3) ->
    Server = erpc:call(Node, chaos, server, []),
    {Caller, Monitor} = spawn_monitor(fun() -> exit({done, gen_server:call(Server, {echo, x}, 60000)}) end),
    spin(rand:uniform(300)),
    exit(Caller, kill),
    Result = receive {'DOWN', Monitor, process, Caller, Reason} -> Reason end,
    exit(Server, kill),
    case Result of
        killed -> ok;
        {done, x} -> ok;
        noproc -> ok;
        Other -> {caller, Other}
    end;
%% A function's process ends in one of all ways.
round(Node, 4) ->
    case rand:uniform(3) of
        1 -> case catch erpc:call(Node, erlang, exit, [bye]) of {'EXIT', {exception, bye}} -> ok; Other -> {erpc, Other} end;
        2 -> case rpc:call(Node, erlang, is_alive, []) of true -> ok; Other -> {rpc, Other} end;
        3 -> case catch erpc:call(Node, chaos, killed, []) of {'EXIT', {signal, killed}} -> ok; Other -> {signal, Other} end
    end.

%% Calls while the connection goes again and again: a value, or that the node is gone.
gone(Node, Rounds, Seed) ->
    rand:seed(exsss, Seed),
    Me = self(),
    Callers = [spawn_link(fun() -> Me ! {self(), until(Node, Me)} end) || _ <- lists:seq(1, 8)],
    [begin spin(rand:uniform(100000)), erlang:disconnect_node(Node) end || _ <- lists:seq(1, Rounds)],
    [Caller ! stop || Caller <- Callers],
    case lists:usort([receive {Caller, Result} -> Result end || Caller <- Callers]) of
        [ok] -> ok;
        Other -> {Seed, Other}
    end.

until(Node, Me) ->
    receive stop -> case process_info(self(), monitors) of {monitors, []} -> ok; Left -> {left, Left} end
    after 0 ->
        A = try erpc:call(Node, erlang, is_alive, []) catch C:E -> {C, E} end,
        B = rpc:call(Node, erlang, is_alive, []),
        C1 = try gen_server:call({chaos_server, Node}, {echo, Me}, 60000) catch C2:E2 -> {C2, E2} end,
        Fine = (A =:= true orelse A =:= {error, {erpc, noconnection}})
            andalso (B =:= true orelse B =:= {badrpc, nodedown})
            andalso (C1 =:= Me orelse C1 =:= {exit, {{nodedown, Node}, {gen_server, call, [{chaos_server, Node}, {echo, Me}, 60000]}}}),
        case Fine of
            true -> until(Node, Me);
            false -> {wrong, A, B, C1}
        end
    end.

%% So many calls of both kinds, from eight processes.
flat(Node, Rounds) ->
    Me = self(),
    Caller = fun() ->
        [begin true = rpc:call(Node, erlang, is_alive, []), x = gen_server:call({chaos_server, Node}, {echo, x}, 60000) end || _ <- lists:seq(1, Rounds div 16)],
        Me ! {self(), done}
    end,
    [receive {Pid, done} -> ok end || Pid <- [spawn_link(Caller) || _ <- lists:seq(1, 8)]],
    ok.

spin(0) -> ok;
spin(N) -> spin(N - 1).

%% A registry for `{via, call_chaos, Name}`: it knows what the process dictionary of its server knows.
via() ->
    case whereis(?MODULE) of
        undefined -> register(?MODULE, spawn(fun() -> registry(#{}) end)), ok;
        _ -> ok
    end.

registry(Names) ->
    receive
        {put, From, Name, Pid} -> From ! {?MODULE, yes}, registry(Names#{Name => Pid});
        {get, From, Name} -> From ! {?MODULE, maps:get(Name, Names, undefined)}, registry(Names)
    end.

register_name(Name, Pid) -> ?MODULE ! {put, self(), Name, Pid}, receive {?MODULE, Answer} -> Answer end.
unregister_name(_) -> ok.
whereis_name(Name) -> ?MODULE ! {get, self(), Name}, receive {?MODULE, Answer} -> Answer end.
send(Name, Message) -> whereis_name(Name) ! Message.
