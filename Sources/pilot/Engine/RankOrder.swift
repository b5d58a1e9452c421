import Failures
import Foundation
import MessagePassing
import PilotInpainting
import ReplicaSampling
import ShardedRuntime
import TensorKernels

/// What rank 0 asks of every other rank, once, after it has checked whatever can be checked without them.
enum RankOrder: Codable, Sendable {
    /// The command needs no other rank.
    case nothing
    /// Load a share of the model and serve it.
    case serve(RankSetup)

    /// Gives the order to all other ranks.
    func give(to communicator: any Communicator) async throws {
        _ = try await communicator.broadcast([UInt8](JSONEncoder().encode(self)))
    }

    /// Waits for rank 0's order and carries it out: what a rank other than 0 does from start to end.
    static func obey(_ communicator: any Communicator) async throws {
        _ = try await communicator.gather(RankCores.current())
        let bytes = try await communicator.broadcast([])
        guard let order = try? JSONDecoder().decode(RankOrder.self, from: Data(bytes)) else {
            throw Failure.internalFault("rank 0 gave an order that can't be read: are all ranks of one version?")
        }
        guard case .serve(let setup) = order else { return }
        let store = WeightStore()
        let workers = try await setup.workers(for: communicator, store: store)
        try await setup.share(store, workers?.wires, communicator)
        guard let workers else { return }
        try await ShardedNetwork.serve(
            layout: setup.layout, jobsInFlight: setup.jobsInFlight, communicator: communicator, workers: workers,
            observation: setup.observation,
            onNotice: { Console.warn($0.text(seconds: $0.seconds)) },
            take: SamplerRun.taker(pace: ProgressPace(jobs: setup.jobsInFlight * setup.layout.replicas)))
    }
}
