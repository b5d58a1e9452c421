import ArgumentParser
import DiffusionModels
import Failures
import InpaintingJobs

extension ControlSettings.Preprocessing: ExpressibleByArgument {}
extension ControlSettings.Mode: ExpressibleByArgument {}
extension ControlSettings.Background: ExpressibleByArgument {}
extension StepRange: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// The ControlNets, each with its map; every option repeats, the k-th value for the k-th net.
struct ControlOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A ControlNet that goes with the model: a diffusers folder or a safetensors file; or scenes-edges, which comes "
                + "with the program, for edges and scribbles on scenes. Repeat it for several; the options below then repeat "
                + "too, in the same order, or are given once for all.",
            valueName: "folder or file"), completion: .file())
    var control: [String] = []

    @Option(
        help: ArgumentHelp(
            "Its map, or the picture that it is made from, PNG, JPEG or WebP (default: the photograph).",
            valueName: "file"),
        completion: .file())
    var controlImage: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("How much it counts (default: 1).", valueName: "x"))
    var controlScale: [Double] = []

    @Option(
        help: ArgumentHelp(
            "The part of the steps in which it acts, 0.2:0.8 for instance (default: 0:1).", valueName: "a:b"))
    var controlRange: [StepRange] = []

    @Option(
        help: ArgumentHelp(
            "How the picture becomes a map: none, for one that is a map; canny, its edges; invert, for ink on paper; tile, "
                + "its colours in 8 x 8 tiles (default: none).", valueName: "way"))
    var controlPreprocess: [ControlSettings.Preprocessing] = []

    @Option(
        help: ArgumentHelp(
            "Whether it acts on both branches of the guidance, or on the prompt's alone and less in the fine parts, which "
                + "suits prompts that say little (default: balanced).", valueName: "mode"))
    var controlMode: [ControlSettings.Mode] = []

    @Option(
        help: ArgumentHelp(
            "What the map shows where the photograph is kept: what is there, or the photograph's edges (default: image).",
            valueName: "what"))
    var controlBackground: [ControlSettings.Background] = []

    /// - Throws: `Failure.usage` when there are not as many values as nets.
    func apply(to draft: inout JobDraft) throws {
        // Beside a recorded job's nets the other options change these.
        let recorded = control.isEmpty ? draft.settings.controls ?? [] : []
        var nets = control.isEmpty ? recorded : control.map { ControlSettings(net: $0) }
        func set<Value>(_ values: [Value], _ option: String, _ place: WritableKeyPath<ControlSettings, Value>) throws {
            let given = try RepeatedOptions.values(values, option, for: "--control", count: nets.count)
            for (index, value) in given.enumerated() {
                if let value { nets[index][keyPath: place] = value }
            }
        }
        let images = try RepeatedOptions.values(controlImage, "--control-image", for: "--control", count: nets.count)
        for (index, image) in images.enumerated() { if let image { nets[index].image = image } }
        try set(controlScale, "--control-scale", \.scale)
        try set(controlRange, "--control-range", \.range)
        try set(controlPreprocess, "--control-preprocess", \.preprocessing)
        try set(controlMode, "--control-mode", \.mode)
        try set(controlBackground, "--control-background", \.background)
        draft.settings.controls = nets.isEmpty ? nil : nets
    }
}
