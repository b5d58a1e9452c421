import ArgumentParser
import DiffusionModels
import Failures
import Foundation
import Glibc
import InpaintingJobs
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
            "Threads of each rank (default: SLURM_CPUS_PER_TASK, else the machine's cores, divided by the ranks on it).",
            valueName: "N"))
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Which ranks compute what: auto, or replicas=R,branches=B,stages=S, whose product is the number of ranks. "
                + "Branches (1 or 2) make a picture faster, stages let a rank hold a part of the UNet, replicas make "
                + "several pictures at once. The picture is the same whatever this is.",
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

    func apply(to computation: inout Computation) {
        if let elementType { computation.elementType = elementType }
        if let backend { computation.backend = backend }
    }

    /// - Throws: `Failure.usage` when there are too many threads, or none.
    func rank(computing computation: Computation) throws -> RankComputation {
        let threads = threads ?? Self.defaultThreads()
        guard (1...1024).contains(threads) else {
            throw Failure.usage("--threads: expected 1 to 1024, found \(threads)")
        }
        return RankComputation(computation: computation, threads: threads)
    }

    /// Lays a model out on the ranks, and says so when some stay idle.
    ///
    /// - Parameters:
    ///   - latent: the size at which the UNet will work.
    ///   - pictures: how many are to be made; nil for a stream of them.
    ///   - passes: what a picture asks of the UNet.
    ///   - jobsInFlight: how many pictures at once, if that is given.
    ///   - note: hears of ranks that stay idle.
    /// - Throws: `Failure.usage` when the layout that is asked for can't be had.
    func setup(
        _ model: JobModel, _ rank: RankComputation, ranks: Int, latent: (height: Int, width: Int), pictures: Int?,
        passes: PicturePasses = .balanced, jobsInFlight: Int? = nil, note: (String) -> Void = Console.note
    ) throws -> RankSetup {
        let description = model.description
        let costs = LadderCosts(
            unet: description.unetConfiguration, autoencoder: description.vaeConfiguration,
            textEncoder: description.textConfiguration, latent: latent, tokens: model.contextLength,
            elementType: rank.computation.elementType)
        let calibration = Self.calibration()
        let (speed, _) = calibration.speed(
            costs.elementType, threads: rank.threads, backend: rank.computation.backend)
        let cluster = Cluster(
            ranks: ranks, ranksPerNode: Self.ranksOnThisMachine(of: ranks),
            memoryPerNode: MachineMemory.availableBytes().map(Double.init))
        let choice = try LayoutChooser(
            costs, cluster: cluster, pictures: pictures ?? Self.manyPictures, passes: passes,
            times: TaskTimes(costs, speed), overhead: calibration.taskOverhead
        ).choose(try LayoutRequest(layout))
        if let idle = choice.note { note(idle) }
        return RankSetup(
            model: model.choice, fingerprint: model.fingerprint, rank: rank, layout: choice.layout,
            jobsInFlight: jobsInFlight.map(choice.layout.share) ?? choice.jobsInFlight, keepsNetworks: pictures != 1,
            observation: Observation(stallTimeout: Double(stallTimeout), isTraced: trace != nil),
            weightBytes: 3 * costs.total.parameters * MemoryLayout<Float>.size)
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

    /// What to tell the user when the launcher keeps this process on fewer cores than it has threads; else nil.
    static func bindingWarning(threads: Int) -> String? {
        let allowed = ProcessInfo.processInfo.activeProcessorCount
        let online = onlineCores()
        guard allowed < min(threads, online) else { return nil }
        return
            "a rank computes with \(threads) threads and may use \(allowed) of the machine's \(online) cores; start it "
            + "with mpirun --bind-to none (or --map-by slot:PE=\(threads))"
    }

    private static func onlineCores() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// What Slurm gives a task, or an equal share of the machine's cores.
    private static func defaultThreads() -> Int {
        number(in: ["SLURM_CPUS_PER_TASK"]) ?? max(1, onlineCores() / (number(in: localSizes) ?? 1))
    }

    /// How many ranks the launcher started on this machine, as far as it says; all of them where it does not.
    private static func ranksOnThisMachine(of ranks: Int) -> Int {
        min(ranks, number(in: localSizes) ?? ranks)
    }

    /// Where launchers say how many ranks are on this machine.
    private static let localSizes = ["OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE"]

    /// The first of these variables that holds a number from 1.
    private static func number(in variables: [String]) -> Int? {
        variables.lazy.compactMap { ProcessInfo.processInfo.environment[$0].flatMap { Int($0) } }.first { $0 > 0 }
    }
}

extension ElementType: ExpressibleByArgument {}
extension BackendName: ExpressibleByArgument {}
