import InpaintingJobs
import MessagePassing
import TensorKernels

/// How a rank computes: what the picture depends on, and how many threads do it.
struct RankComputation: Codable, Equatable, Sendable {
    var computation = Computation()
    /// Threads of one rank.
    var threads = 1

    func summary(ranks: Int) -> String {
        let team = "\(Console.count(ranks, "rank")) of \(Console.count(threads, "thread"))"
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

    /// Runs a part of the job that computes in float32.
    ///
    /// Memory that waits for the UNet's next pass goes back to the system before, and what the part took goes after, so
    /// that the job's peak is the larger of the two and not their sum.
    func computeExactly<Value: Sendable>(
        _ body: @escaping @Sendable (ComputeContext) throws -> Value
    ) async throws -> Value {
        try await thread.run { [exactContext] in
            exactContext.releaseUnusedMemory()
            defer { exactContext.releaseUnusedMemory() }
            return try body(exactContext)
        }
    }
}
