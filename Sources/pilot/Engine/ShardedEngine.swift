import DiffusionModels
import Failures
import InpaintingJobs
import MessagePassing
import PilotInpainting
import ReplicaSampling
import ShardedRuntime
import TensorKernels

/// The machine as jobs see it, on rank 0: a model's networks on the ranks of a layout.
final class ShardedEngine: InpaintingEngine {
    private let network: ShardedNetwork
    private let rank: RankComputation

    /// As many as the network works on at once, and for each replica one that is decoded and one that is encoded
    /// meanwhile.
    var jobsInFlight: Int {
        network.jobsInFlight == 1 ? 1 : network.jobsInFlight + 2 * network.layout.replicas
    }
    var layout: String { rank.summary(network.layout) }

    /// Reads and checks rank 0's share of the UNet, and every tensor of the networks around it, and tells the other
    /// ranks to load theirs.
    ///
    /// - Throws: `Failure`; the other ranks have no order then.
    init(_ setup: RankSetup, communicator: any Communicator) async throws {
        let store = WeightStore()
        guard let workers = try await setup.workers(for: communicator, store: store) else {
            throw Failure.internalFault("the layout \(setup.layout) has no rank 0")
        }
        let description = try ModelDescription(setup.model)
        try await workers.thread.run {
            _ = try description.textEncoder()
            _ = try description.autoencoder()
            for adapter in description.t2iAdapters { _ = try adapter.adapter() }
            for adapter in description.ipAdapters { _ = try adapter.projector() }
            _ = try description.imageEncoder?.encoder()
        }
        try await RankOrder.serve(setup).give(to: communicator)
        try await setup.share(store, workers.wires, communicator)
        rank = setup.rank
        network = ShardedNetwork(
            layout: setup.layout, jobsInFlight: setup.jobsInFlight, communicator: communicator, workers: workers,
            observation: setup.observation)
    }

    func embed(_ chunks: [TokenChunk]) async throws -> [Embedding] {
        var embeddings: [Embedding] = []
        for chunk in chunks {
            let states = try await network.embed(chunk)
            embeddings.append(Embedding(values: states.values, tokens: states.height, width: states.width))
        }
        return embeddings
    }

    func encode(_ planes: [Float], height: Int, width: Int) async throws -> Latent {
        try await network.encode(Latent(channels: 3, height: height, width: width, values: planes))
    }

    func features(ofAdapter number: Int, map: Latent) async throws -> [Latent] {
        try await network.features(ofAdapter: number, map: map)
    }

    func imageTokens(ofAdapter number: Int, picture: Latent) async throws -> ImageTokens {
        try await network.imageTokens(ofAdapter: number, picture: picture)
    }

    func decode(_ latents: [Latent]) async throws -> [[Float]] {
        var pictures: [[Float]] = []
        for latent in latents { pictures.append(try await network.decode(latent).values) }
        return pictures
    }

    func sample(_ run: SamplerRun, observer: @escaping PilotObserver) async throws -> SampledLatent {
        let start = ContinuousClock.now
        let room = try await network.room()
        let waited = ContinuousClock.now - start
        var sampled = try await run.sampled(in: room, observer: observer)
        sampled.secondsWaited = waited.inSeconds
        return sampled
    }

    /// The UNet by itself, on the replica of rank 0, until the predictor is closed.
    func predictor(for inputs: [BranchInputs]) async throws -> StagePredictor { try await network.openJob(inputs) }

    /// What every rank did so far, in the order of the ranks.
    func reports() async throws -> [RankReport] { try await network.reports() }

    /// Writes down what every rank did so far.
    func writeTrace(to path: String) async throws {
        let trace = try await network.trace()
        if trace.dropped > 0 {
            Console.warn("\(path): \(Console.count(trace.dropped, "event")) found no place; the oldest are there")
        }
        try trace.write(to: path)
    }

    /// Has `body` hear why no rank can be asked any more, should it come to that.
    func onFault(_ body: @escaping @Sendable (Failure) -> Void) { network.onFault(body) }

    /// Has `body` hear of ranks from which nothing comes, and of nil when something does.
    func onNotice(_ body: @escaping @Sendable (StallNotice?) -> Void) { network.onNotice(body) }

    /// Lets the other ranks go. Nothing may be asked afterwards.
    func stop() { network.stop() }
}
