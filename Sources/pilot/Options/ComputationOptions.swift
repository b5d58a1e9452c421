import ArgumentParser
import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import MessagePassing
import NeuralLayers
import ShardedRuntime
import TensorKernels

/// How the job is computed.
struct ComputationOptions: ParsableArguments {
    @Option(name: .customLong("dtype"), help: "Number format of the UNet (default: float32).")
    var elementType: ElementType?

    @Option(help: "Library of convolutions and matrix products (default: onednn).")
    var backend: BackendName?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Threads of each rank (default: the cores that it may use, divided by the ranks that share them; under Slurm "
                + "at most SLURM_CPUS_PER_TASK).",
            valueName: "N"))
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Which ranks compute what: auto, or replicas=R,branches=B,stages=S,strips=T, whose product is the number of "
                + "ranks. Branches (1 or 2) and strips (rows of the picture) make a picture faster, stages let a rank "
                + "hold a part of the UNet, replicas make several pictures at once. The picture is the same whatever "
                + "this is.",
            valueName: "layout"))
    var layout = "auto"

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "End the job when it makes no progress for so long, and name the rank that holds it up (default: 300).",
            valueName: "seconds"),
        transform: whole(1...10_000_000))
    var stallTimeout = 300

    @Option(
        help: ArgumentHelp(
            "What every rank did when, for Perfetto, Chrome, or pilot trace.", valueName: "file.json"),
        completion: .file())
    var trace: String?

    @Option(
        help: ArgumentHelp(
            "What every rank did in all, as the last table has it, as JSON: seconds, bytes, memory.",
            valueName: "file.json"), completion: .file())
    var rankReport: String?

    func apply(to computation: inout Computation) {
        if let elementType { computation.elementType = elementType }
        if let backend { computation.backend = backend }
    }

    /// Has every rank compute with as many threads as there are cores for, or as the user wants, and says so when those
    /// are too many. The other ranks tell their cores when they wait for their order.
    ///
    /// - Throws: `Failure.usage` when there are none, or many times as many as cores.
    func rank(computing computation: Computation, on communicator: any Communicator) async throws -> RankComputation {
        let ranks = try await communicator.gather(RankCores.current()) ?? []
        let choice = try ThreadChoice(threads, shares: CoreShares(ranks), environment: .current)
        if let warning = choice.warning { Console.warn(warning) }
        return RankComputation(computation: computation, threads: choice.threads)
    }

    /// Lays a model out on the ranks, and says so when some stay idle.
    ///
    /// - Parameters:
    ///   - latent: the size at which the UNet will work.
    ///   - tokens: of the longer prompt.
    ///   - pictures: how many are to be made; nil for a stream of them.
    ///   - passes: what a picture asks of the UNet.
    ///   - jobsInFlight: how many pictures at once, if that is given.
    ///   - note: hears of ranks that stay idle.
    /// - Throws: `Failure.usage` when the layout that is asked for can't be had.
    func setup(
        _ model: JobModel, _ rank: RankComputation, ranks: Int, latent: (height: Int, width: Int), tokens: Int,
        pictures: Int?, passes: PicturePasses = .balanced, jobsInFlight: Int? = nil,
        note: (String) -> Void = Console.note
    ) throws -> RankSetup {
        let description = model.description
        let costs = LadderCosts(
            unet: description.unetConfiguration, autoencoder: description.vaeConfiguration,
            textEncoder: description.textConfiguration, latent: latent, tokens: tokens,
            elementType: rank.computation.elementType, controls: description.controls.map(\.configuration),
            adapters: description.t2iAdapters.map(\.configuration),
            images: description.ipAdapters.map(\.configuration),
            imageEncoder: description.imageEncoder?.configuration)
        let calibration = Self.calibration()
        let (speed, _) = calibration.speed(
            costs.elementType, threads: rank.threads, backend: rank.computation.backend)
        let cluster = Cluster(
            ranks: ranks, ranksPerNode: Self.ranksOnThisMachine(of: ranks),
            memoryPerNode: MachineMemory.availableBytes().map(Double.init),
            memoryPerRank: MachineMemory.availableBytesOfProcess().map(Double.init))
        let choice = try LayoutChooser(
            costs, cluster: cluster, pictures: pictures ?? Self.manyPictures, passes: passes,
            times: TaskTimes(costs, speed), overhead: calibration.taskOverhead, node: calibration.node,
            allowsStrips: rank.computation.backend.isExactInStrips
        ).choose(try LayoutRequest(layout))
        if let idle = choice.note { note(idle) }
        return RankSetup(
            model: model.choice, fingerprint: model.fingerprintOfNetworks, rank: rank, layout: choice.layout,
            jobsInFlight: jobsInFlight.map(choice.layout.share) ?? choice.jobsInFlight, keepsNetworks: pictures != 1,
            observation: Observation(stallTimeout: Double(stallTimeout), isTraced: trace != nil),
            weightBytes: 3 * (costs.total.parameters + costs.total.tiles.kernelValues) * MemoryLayout<Float>.size)
    }

    /// What was measured on this machine, if anything was: a cache that is damaged holds up nobody's picture.
    private static func calibration() -> Calibration {
        do {
            return try CalibrationFile.read(nil).calibration
        } catch {
            let reason = (error as? Failure)?.message ?? "\(error)"
            Console.warn("\(reason); the layout is chosen with built-in figures instead")
            return .builtIn
        }
    }

    /// Stands for a stream whose end is not known.
    private static let manyPictures = 1_000_000

    /// How many ranks the launcher started on this machine, as far as it says; all of them where it does not.
    private static func ranksOnThisMachine(of ranks: Int) -> Int {
        min(ranks, LaunchSettings.current.localSize ?? ranks)
    }
}

extension ElementType: ExpressibleByArgument {}
extension BackendName: ExpressibleByArgument {}
