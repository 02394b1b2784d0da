%% The Erlang half of the key-value store: the same server, and the functions that use it.
-module(dist_kv).
-behaviour(gen_server).
-export([start/1, put/2, get/1]).
-export([init/1, handle_call/3, handle_cast/2]).

%% Joins the cluster of Seed, and takes over what it has.
start(Seed) ->
    pong = net_adm:ping(Seed),
    gen_server:start({local, ?MODULE}, ?MODULE, Seed, []).

put(Key, Value) ->
    gen_server:abcast([node() | nodes()], ?MODULE, {put, Key, Value}),
    ok.

get(Key) ->
    gen_server:call(?MODULE, {get, Key}).

init(Seed) ->
    {ok, gen_server:call({?MODULE, Seed}, all)}.

handle_call({get, Key}, _From, Store) -> {reply, maps:find(Key, Store), Store};
handle_call(all, _From, Store) -> {reply, Store, Store}.

handle_cast({put, Key, Value}, Store) -> {noreply, Store#{Key => Value}}.
