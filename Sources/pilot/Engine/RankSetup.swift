import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import MessagePassing
import ShardedRuntime
import TensorKernels

/// What every rank of a job needs to know to do its part; travels from rank 0.
struct RankSetup: Codable, Sendable {
    /// Found by its name on each machine.
    let model: ModelChoice
    /// Of the files of the model and of the nets beside it.
    let fingerprint: String
    let rank: RankComputation
    let layout: Layout
    /// Of each replica.
    let jobsInFlight: Int
    /// Whether text encoder and autoencoder stay in memory, for many jobs.
    let keepsNetworks: Bool
    /// How the ranks watch each other.
    let observation: Observation

    /// What the layouts of one stage's weights can take at most: float32, for the forward pass, for the gradient, and
    /// once more for another size of picture; in tiles as well.
    let weightBytes: Int

    /// Has this rank share memory with others of its machine, where there are any: of its weights, and between strips.
    ///
    /// All ranks must come here, when rank 0 has given its order.
    func share(_ store: WeightStore, _ wires: StripWires?, _ communicator: any Communicator) async throws {
        let sharing = try await NodeSharing(communicator)
        if let arena = try await sharing.arena(of: layout, byteCount: weightBytes, warn: Console.warn) {
            store.share(in: arena)
        }
        if let wires { try await sharing.shareMemory(of: wires, in: layout, warn: Console.warn) }
    }

    /// Loads the rank's share of the model.
    ///
    /// - Throws: `Failure` naming what is wrong with the model, or that it is another than rank 0's.
    func workers(for communicator: any Communicator, store: WeightStore) async throws -> StageWorkers? {
        let rank = communicator.rank
        guard let place = layout.place(of: rank) else { return nil }
        let compute = try await ComputeThread(self.rank)
        let wires = StripWires(layout, communicator: communicator)
        return try await compute.thread.run {
            let description = try ModelDescription(model)
            guard try rank == 0 || description.fingerprintOfNetworks() == fingerprint else {
                throw Failure.badData(
                    "--model \(model.name): \(description.files.path) on \(ProcessInfo.processInfo.hostName) is another "
                        + "model than rank 0's, or a --control, an adapter or the image encoder has other contents; all ranks need the same"
                )
            }
            var loader = PictureNetworks.Loader(
                textEncoder: { try description.textEncoder() }, autoencoder: { try description.autoencoder() })
            loader.adapter = { try description.t2iAdapter($0) }
            loader.projector = { try description.imageProjector($0) }
            loader.imageEncoder = { try description.openedImageEncoder().encoder() }
            let rungs = layout.stages[place.stage]
            let stage = try description.unet(rungs: rungs, store: store)
            let controls = try description.controlStages(rungs: rungs, store: store)
            let images = try description.ipAdapters.map { try $0.projections(rungs: rungs, store: store) }
            return StageWorkers(
                stage: UNetStageEvaluator(
                    stage, controls: controls, images: images, context: compute.networkContext, strips: layout.strips,
                    exchange: wires.stage, store: store),
                pictures: layout.worksOnPictures(rank)
                    ? PictureNetworks(
                        loader, keepsNetworks: keepsNetworks, context: compute.exactContext,
                        strips: layout.pictureTeam(of: place.replica).count, exchange: wires.pictures) : nil,
                thread: compute.thread, wires: wires)
        }
    }
}
