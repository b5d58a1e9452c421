import DiffusionModels
import Failures
import InpaintingJobs
import MessagePassing
import PilotInpainting
import ShardedRuntime
import Synchronization

extension DistributedPredictor: NoisePredictor {}

/// The machine as jobs see it, on rank 0: the UNet's branches on one rank or two, the networks around it here.
final class DistributedEngine: InpaintingEngine {
    private let model: ModelDescription
    private let rank: RankComputation
    private let compute: ComputeThread
    private let ranks: Int
    private let unet: DistributedPredictor
    /// The UNet's ranks hold the inputs of one picture at a time.
    private let turns = Turns()
    /// The networks around the UNet, kept for the next job; nil where they go after each use, so that their memory is
    /// the UNet's meanwhile.
    private let kept: KeptNetworks?

    let jobsInFlight = 1
    var layout: String { rank.summary(ranks: ranks) }

    /// Reads and checks every tensor of the model, and tells the other ranks to load their part.
    ///
    /// - Parameter keepsNetworks: whether text encoder and autoencoder stay in memory, for many jobs.
    /// - Throws: `Failure`; the other ranks have no order then.
    init(
        _ model: JobModel, _ rank: RankComputation, plan: Plan, communicator: any Communicator, keepsNetworks: Bool,
        ledger: PhaseLedger
    ) async throws {
        let compute = try await ComputeThread(rank)
        let description = model.description
        let kept = keepsNetworks ? KeptNetworks() : nil
        let network = try await ledger.measure(.checking) {
            try await compute.thread.run {
                let textEncoder = try description.textEncoder()
                let autoencoder = try description.autoencoder()
                kept?.networks.withLock { $0 = (textEncoder, autoencoder) }
                return try description.unet()
            }
        }
        try await RankOrder.serve(model: model.name, fingerprint: model.fingerprint, rank: rank).give(to: communicator)
        self.model = description
        self.rank = rank
        self.compute = compute
        self.kept = kept
        ranks = communicator.size
        unet = DistributedPredictor(
            plan: plan, communicator: communicator,
            evaluator: UNetEvaluator(unet: network, context: compute.networkContext), thread: compute.thread)
    }

    func embed(_ tokens: [[Int32]]) async throws -> [Embedding] {
        try await compute.computeExactly { [model, kept] context in
            let encoder = try kept?.textEncoder ?? model.textEncoder()
            return try tokens.map { ids in
                Embedding(
                    values: try encoder(ids, in: context), tokens: ids.count, width: encoder.configuration.hiddenSize)
            }
        }
    }

    func encode(_ planes: [Float], height: Int, width: Int) async throws -> Latent {
        try await compute.computeExactly { [model, kept] context in
            try (kept?.autoencoder ?? model.autoencoder()).encode(planes, height: height, width: width, in: context)
        }
    }

    func decode(_ latents: [Latent]) async throws -> [[Float]] {
        try await compute.computeExactly { [model, kept] context in
            let autoencoder = try kept?.autoencoder ?? model.autoencoder()
            return try latents.map { try autoencoder.decode($0, in: context) }
        }
    }

    func predictor(for inputs: [BranchInputs]) async throws -> DistributedPredictor {
        try await turns.take()
        do {
            for branch in GuidanceBranch.allCases { try await unet.prepare(branch, inputs[branch.rawValue]) }
        } catch {
            turns.give()
            throw error
        }
        return unet
    }

    func finish(_ predictor: DistributedPredictor) async { turns.give() }

    /// What every rank did so far, in the order of the ranks.
    func reports() async throws -> [RankReport] { try await unet.reports() }

    /// Lets the other ranks go. Nothing may be asked afterwards.
    func stop() { unet.stop() }
}

/// Text encoder and autoencoder, once they are read.
private final class KeptNetworks: Sendable {
    let networks = Mutex<(textEncoder: TextEncoder, autoencoder: Autoencoder)?>(nil)

    var textEncoder: TextEncoder? { networks.withLock { $0?.textEncoder } }
    var autoencoder: Autoencoder? { networks.withLock { $0?.autoencoder } }
}
