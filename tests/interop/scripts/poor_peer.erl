%% Stands in EPMD as a node and is a poor one: nobody listens, or somebody who is silent, whose flags are not enough, who has one
%% status for everybody, or who is another node.
-module(poor_peer).
-export([start/2]).

%% Registers `Alive` with this host's EPMD, for as long as the calling process lives.
start(Alive, nobody) ->
    {ok, Listener} = gen_tcp:listen(0, []),
    {ok, Port} = inet:port(Listener),
    ok = gen_tcp:close(Listener),
    register_at_epmd(Alive, Port);
start(Alive, silent) ->
    {ok, Port} = listen(fun(_) -> timer:sleep(infinity) end),
    register_at_epmd(Alive, Port);
start(Alive, {port, Port}) ->
    register_at_epmd(Alive, Port);
start(Alive, self) ->
    [Own, Host] = string:lexemes(atom_to_list(node()), "@"),
    {port, Port, _} = erl_epmd:port_please(Own, Host),
    register_at_epmd(Alive, Port);
start(Alive, {status, Status}) ->
    {ok, Port} = listen(fun(Socket) -> status(Socket, Status) end),
    register_at_epmd(Alive, Port);
start(Alive, {flags, Flags}) ->
    {ok, Port} = listen(fun(Socket) -> challenge(Socket, Alive, Flags) end),
    register_at_epmd(Alive, Port).

listen(Serve) ->
    Parent = self(),
    spawn_link(fun() ->
        {ok, Listener} = gen_tcp:listen(0, [binary, {packet, 2}, {active, false}]),
        Parent ! {self(), inet:port(Listener)},
        accept(Listener, Serve)
    end),
    receive {_, {ok, Port}} -> {ok, Port} end.

accept(Listener, Serve) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Serve(Socket),
    accept(Listener, Serve).

%% The acceptor's part of the handshake up to the challenge.
challenge(Socket, Alive, Flags) ->
    {ok, <<"N", _/binary>>} = gen_tcp:recv(Socket, 0),
    [_, Host] = string:lexemes(atom_to_list(node()), "@"),
    Name = list_to_binary(Alive ++ "@" ++ Host),
    ok = gen_tcp:send(Socket, "sok"),
    ok = gen_tcp:send(Socket, <<"N", Flags:64, 12345:32, 7:32, (byte_size(Name)):16, Name/binary>>),
    gen_tcp:recv(Socket, 0, 10000),
    gen_tcp:close(Socket).

%% Answers the name with a status, prints what is said to that, and closes.
status(Socket, Status) ->
    {ok, <<"N", _/binary>>} = gen_tcp:recv(Socket, 0),
    ok = gen_tcp:send(Socket, ["s", Status]),
    case gen_tcp:recv(Socket, 0, 1000) of
        {ok, Answer} -> io:format(user, "poor_peer is told ~p~n", [Answer]);
        {error, _} -> ok
    end,
    gen_tcp:close(Socket).

register_at_epmd(Alive, Port) ->
    Name = list_to_binary(Alive),
    Alive2 = <<"x", Port:16, 77, 0, 6:16, 5:16, (byte_size(Name)):16, Name/binary, 0:16>>,
    {ok, Socket} = gen_tcp:connect("localhost", erl_epmd_port(), [binary, {packet, raw}, {active, false}]),
    ok = gen_tcp:send(Socket, [<<(byte_size(Alive2)):16>>, Alive2]),
    {ok, <<_, 0, _/binary>>} = gen_tcp:recv(Socket, 0, 5000),
    ok.

erl_epmd_port() ->
    case os:getenv("ERL_EPMD_PORT") of
        false -> 4369;
        Port -> list_to_integer(Port)
    end.
