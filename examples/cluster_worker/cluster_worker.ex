# The Elixir half of the example `cluster_worker`: asks the workers of the cluster, whatever they are written in.
defmodule ClusterWorker do
  # To be called on every Elixir node of the cluster.
  def start do
    case :pg.start(:cluster) do
      {:ok, _} -> :ok
      {:error, {:already_started, _}} -> :ok
    end
  end

  # The nodes that workers are on.
  def workers, do: :pg.get_members(:cluster, :workers) |> Enum.map(&node/1) |> Enum.sort()

  # Has some worker square a number: `{square, node}`.
  def square(number) do
    case :pg.get_members(:cluster, :workers) do
      [] -> {:error, :no_workers}
      workers -> ask(Enum.random(workers), number)
    end
  end

  # The node that the foreman is on.
  def foreman do
    case :global.whereis_name(:foreman) do
      :undefined -> nil
      pid -> node(pid)
    end
  end

  defp ask(worker, number) do
    monitor = Process.monitor(worker)
    send(worker, {:square, self(), number})

    receive do
      {:squared, ^number, square, ^worker} ->
        Process.demonitor(monitor, [:flush])
        {square, node(worker)}

      {:DOWN, ^monitor, :process, _, reason} ->
        {:error, reason}
    end
  end
end
