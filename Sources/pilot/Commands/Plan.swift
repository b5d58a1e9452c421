import ArgumentParser
import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import MessagePassing
import PilotInpainting
import ShardedRuntime
import TensorKernels

/// `pilot plan`
struct Plan: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Lays a model out on ranks, on paper: who holds what, what memory it takes, how fast it will be.",
        discussion: """
            Needs no MPI and computes no picture. Memory and operations are counted from the model's shapes; seconds \
            come of a simulation of the ranks' own scheduler, with the speeds that --calibrate measured on this machine, \
            or, before that, with those of one core with AVX-512.

              pilot plan --calibrate --model sd15 --size 512x512
              pilot plan --model sd15 --ranks 8 --nodes 4 --memory-per-node 16 \\
                  --jobs 1000 --network 20us,1.2GB
            """)

    @Option(
        help: ArgumentHelp(
            "A Stable Diffusion 1.x or 2.x model, a folder in the diffusers layout or a single file; without it, as for "
                + "pilot inpaint.", valueName: "folder or file"), completion: .file())
    var model: String?

    @OptionGroup var parts: ModelOptions

    @Option(
        help: ArgumentHelp(
            "A ControlNet beside the UNet, a folder or a file; may be repeated.", valueName: "folder or file"),
        completion: .file())
    var control: [String] = []

    @Option(
        name: .customLong("t2i-adapter"),
        help: ArgumentHelp("A T2I-Adapter, a folder or a file; may be repeated.", valueName: "folder or file"),
        completion: .file())
    var t2iAdapters: [String] = []

    @Option(
        help: ArgumentHelp("An IP-Adapter's file; may be repeated.", valueName: "file"), completion: .file())
    var ipAdapter: [String] = []

    @Option(
        help: ArgumentHelp("Their image encoder, as for pilot inpaint.", valueName: "folder"), completion: .directory)
    var imageEncoder: String?

    @Option(help: "The picture's size; without it, the size that the model was trained at.")
    var size: PictureSize?

    @Option(
        help: ArgumentHelp("How many ranks there are (default: 1).", valueName: "n"), transform: whole(1...mostRanks))
    var ranks = 1

    @Option(
        help: ArgumentHelp("On how many equal machines (default: 1).", valueName: "m"), transform: whole(1...mostRanks))
    var nodes = 1

    @Option(
        help: ArgumentHelp(
            "What each machine's memory holds, in GB (default: what this machine has available).", valueName: "gb"))
    var memoryPerNode: Double?

    @Option(
        help: ArgumentHelp("How many pictures are to be made (default: 1).", valueName: "j"),
        transform: whole(1...mostJobs))
    var jobs = 1

    @Option(
        help: ArgumentHelp(
            "Between machines, the time of an empty message and the bytes of a second (default: 50us,1GB).",
            valueName: "latency,bandwidth"))
    var network = NetworkLink(text: "50us,1GB", link: .ethernet)

    @Option(name: .customLong("dtype"), help: "Number format of the UNet.")
    var elementType: ElementType = .float32

    @Option(
        help: ArgumentHelp("Threads of each rank (default: as calibrated, else 1).", valueName: "n"),
        transform: whole(1...1024))
    var threads: Int?

    @OptionGroup var steps: StepOptions

    @Option(
        help: ArgumentHelp(
            "auto, or replicas=R,branches=B,stages=S,strips=T, whose product is the number of ranks.",
            valueName: "layout"))
    var layout = "auto"

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Measure how fast this machine computes the model, and keep that for later plans.")
    var calibrate = false

    @Option(
        help: ArgumentHelp(
            "The calibration's file (default: calibration.json in $XDG_CACHE_HOME/pilot-mpi or ~/.cache/pilot-mpi).",
            valueName: "file"), completion: .file())
    var calibration: String?

    @Option(
        help: ArgumentHelp("With --calibrate, where to write it (default: as --calibration).", valueName: "file"),
        completion: .file())
    var output: String?

    func validate() throws {
        guard nodes <= ranks else { throw ValidationError("--nodes: expected 1 to \(ranks), found \(nodes)") }
        if let memoryPerNode, !(memoryPerNode > 0 && memoryPerNode <= Self.mostGigabytes) {
            throw ValidationError("--memory-per-node: expected gigabytes, above 0, found \(memoryPerNode)")
        }
        guard (control + t2iAdapters + ipAdapter).isEmpty || !calibrate else {
            throw ValidationError("--calibrate measures the model's own layers; leave --control and adapters out")
        }
        guard output == nil || calibrate else { throw ValidationError("--output goes with --calibrate alone") }
    }

    private static let mostRanks = 1 << 20
    private static let mostJobs = 1_000_000_000
    private static let mostGigabytes = 1e6

    func run() throws {
        var choice = parts.choice(model)
        choice.controls = control
        choice.t2iAdapters = t2iAdapters
        choice.ipAdapters = ipAdapter
        choice.imageEncoder = imageEncoder
        let description = try ModelDescription(choice)
        let geometry = try description.geometry(size)
        let subject = PlanSubject(
            name: choice.name, description: description, geometry: geometry,
            costs: try description.costs(geometry, elementType))
        if calibrate {
            let choice = try ThreadChoice(
                threads ?? 1, shares: CoreShares([.current()]), environment: LaunchSettings.current)
            if let warning = choice.warning { Console.warn(warning) }
            try PlanCalibration(subject: subject, threads: choice.threads).run(writingTo: output ?? calibration)
            return
        }
        var parameters = PilotParameters()
        steps.apply(to: &parameters)
        try parameters.validate()
        try description.check(parameters.algorithm, modelName: choice.name)
        let passes = try PicturePasses(parameters, description.scheduler(warn: Console.warn))
        let figures = try PlanFigures(subject, question(passes))
        try Console.print(json ? try figures.json() : PlanReport(figures).text)
    }

    private func question(_ passes: PicturePasses) throws -> PlanQuestion {
        let (calibration, source) = try CalibrationFile.read(calibration)
        let bytes = memoryPerNode.map { $0 * 1e9 } ?? MachineMemory.availableBytes().map(Double.init)
        return PlanQuestion(
            cluster: Cluster(
                ranks: ranks, ranksPerNode: (ranks + nodes - 1) / nodes, memoryPerNode: bytes),
            jobs: jobs, passes: passes, layout: try LayoutRequest(layout), threads: threads,
            network: network.link, networkText: network.text, calibration: calibration, calibrationSource: source)
    }
}

/// `--network 20us,1.2GB`
struct NetworkLink: ExpressibleByArgument {
    let text: String
    let link: Calibration.Link

    init(text: String, link: Calibration.Link) {
        self.text = text
        self.link = link
    }

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2,
            let latency = Self.number(parts[0], units: ["us": 1e-6, "ms": 1e-3, "s": 1]),
            let bandwidth = Self.number(parts[1], units: ["kB": 1e3, "MB": 1e6, "GB": 1e9, "Gbit": 1e9 / 8]),
            latency >= 0, latency <= 10, bandwidth >= 1e3, bandwidth <= 1e15
        else { return nil }
        self.init(text: argument, link: Calibration.Link(latency: latency, bandwidth: bandwidth))
    }

    var defaultValueDescription: String { text }

    private static func number(_ text: String, units: [String: Double]) -> Double? {
        // The longest unit first: `us` ends with `s`.
        for (unit, factor) in units.sorted(by: { $0.key.count > $1.key.count }) where text.hasSuffix(unit) {
            guard let number = Double(text.dropLast(unit.count)), number.isFinite else { return nil }
            return number * factor
        }
        return nil
    }
}

extension ModelDescription {
    /// What the model's work costs at a size, with prompts as long as the text encoder reads.
    func costs(_ geometry: JobGeometry, _ elementType: ElementType) throws -> LadderCosts {
        LadderCosts(
            unet: unetConfiguration, autoencoder: vaeConfiguration, textEncoder: textConfiguration,
            latent: (geometry.latentHeight, geometry.latentWidth), tokens: textConfiguration.maximumPositions,
            elementType: elementType, controls: controls.map(\.configuration),
            adapters: t2iAdapters.map(\.configuration), images: ipAdapters.map(\.configuration),
            imageEncoder: imageEncoder?.configuration)
    }
}
