import InpaintingJobs
import MessagePassing
import ShardedRuntime
import TensorKernels

/// How a rank computes: what the picture depends on, and how many threads do it.
struct RankComputation: Codable, Equatable, Sendable {
    var computation = Computation()
    /// Threads of one rank.
    var threads = 1

    /// `2 ranks (1 replica x 2 branches x 1 stage) of 4 threads, float32, onednn`
    func summary(_ layout: Layout) -> String {
        let dimensions =
            "\(Console.count(layout.replicas, "replica")) x \(layout.branches) branch\(layout.branches == 1 ? "" : "es") "
            + "x \(Console.count(layout.stages.count, "stage"))"
            + (layout.strips > 1 ? " x \(Console.count(layout.strips, "strip"))" : "")
        let ranks = Console.count(layout.ranks, "rank") + (layout.ranks > 1 ? " (\(dimensions))" : "")
        let team = "\(ranks) of \(Console.count(threads, "thread"))"
        return "\(team), \(computation.summary)"
    }
}

/// The one thread of a rank that computes, and what it computes with.
struct ComputeThread: Sendable {
    let thread: DedicatedThread
    /// float32 always: for text encoder and autoencoder, which run once and whose roundings would stay in the picture.
    let exactContext: ComputeContext
    /// In the format that the user chose: for the UNet.
    let networkContext: ComputeContext

    init(_ rank: RankComputation) async throws {
        let thread = try DedicatedThread(name: "compute")
        // Made in the user's format first, which not every library has on every processor.
        let network = try await thread.run {
            try ComputeContext(
                threads: rank.threads, elementType: rank.computation.elementType, backend: rank.computation.backend)
        }
        self.thread = thread
        exactContext = network.with(elementType: .float32)
        networkContext = network
    }
}
