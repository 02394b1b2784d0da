%% EPMD as always, but for nodes that were given a route: those are connected to at another place, where a recorder stands.
%% A node uses it when it is started with `-epmd_module bed_epmd`.
-module(bed_epmd).
-export([route/3, unroute/1]).
-export([start_link/0, register_node/2, register_node/3, port_please/2, port_please/3, address_please/3, names/0, names/1]).

%% From now on the node `Alive` is found at this host and port.
route(Alive, Host, Port) -> application:set_env(kernel, {bed_route, Alive}, {Host, Port}).
unroute(Alive) -> application:unset_env(kernel, {bed_route, Alive}).

address_please(Alive, Host, Family) ->
    case application:get_env(kernel, {bed_route, Alive}) of
        {ok, {There, Port}} ->
            {ok, Address} = inet:getaddr(There, Family),
            {ok, Address, Port, 6};
        undefined ->
            erl_epmd:address_please(Alive, Host, Family)
    end.

start_link() -> erl_epmd:start_link().
register_node(Name, Port) -> erl_epmd:register_node(Name, Port).
register_node(Name, Port, Family) -> erl_epmd:register_node(Name, Port, Family).
port_please(Name, Host) -> erl_epmd:port_please(Name, Host).
port_please(Name, Host, Timeout) -> erl_epmd:port_please(Name, Host, Timeout).
names() -> erl_epmd:names().
names(Host) -> erl_epmd:names(Host).
