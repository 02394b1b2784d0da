# The Elixir half of the pool: calls from one process, and from many tasks at once.
defmodule Pool do
  def call(node, job), do: GenServer.call({:pool, node}, job, 30_000)

  # One task a job, answers in the order of the jobs.
  def map(node, jobs) do
    jobs
    |> Task.async_stream(&call(node, &1), max_concurrency: 16, timeout: 30_000)
    |> Enum.map(fn {:ok, answer} -> answer end)
  end
end

with [node] <- System.argv() do
  node = String.to_atom(node)
  IO.inspect(Pool.call(node, {:primes, 1000}), label: "primes below 1000")
  IO.inspect(Pool.map(node, for(n <- 1..16, do: {:primes, n * 100})), label: "of 16 tasks")
end
