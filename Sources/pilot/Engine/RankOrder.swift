import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import MessagePassing
import ShardedRuntime
import TensorKernels

/// What rank 0 asks of every other rank, once, after it has checked whatever can be checked without them.
enum RankOrder: Codable, Sendable {
    /// The command needs no other rank.
    case nothing
    /// Load the model's UNet and serve the branches of the plan. The model is found by its name on each machine, and
    /// has this fingerprint.
    case serve(model: String, fingerprint: String, rank: RankComputation)

    /// Gives the order to all other ranks.
    func give(to communicator: any Communicator) async throws {
        _ = try await communicator.broadcast([UInt8](JSONEncoder().encode(self)))
    }

    /// Waits for rank 0's order and carries it out: what a rank other than 0 does from start to end.
    static func obey(_ communicator: any Communicator) async throws {
        let bytes = try await communicator.broadcast([])
        guard let order = try? JSONDecoder().decode(RankOrder.self, from: Data(bytes)) else {
            throw Failure.internalFault("rank 0 gave an order that can't be read: are all ranks of one version?")
        }
        guard case .serve(let model, let fingerprint, let rank) = order else { return }
        let compute = try await ComputeThread(rank)
        let evaluator = try await compute.thread.run {
            let description = try ModelDescription(model)
            guard try description.fingerprint() == fingerprint else {
                throw Failure.badData(
                    "--model \(model): \(description.folder.path) on \(ProcessInfo.processInfo.hostName) is another "
                        + "model than rank 0's; all ranks need the same")
            }
            return UNetEvaluator(unet: try description.unet(), context: compute.networkContext)
        }
        try await BranchServer(communicator: communicator, evaluator: evaluator, thread: compute.thread).run()
    }
}
