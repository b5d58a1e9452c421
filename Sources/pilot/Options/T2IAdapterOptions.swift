import ArgumentParser
import DiffusionModels
import Failures
import InpaintingJobs

/// The T2I-Adapters, each with its map; every option repeats, the k-th value for the k-th adapter.
struct T2IAdapterOptions: ParsableArguments {
    @Option(
        name: .customLong("t2i-adapter"),
        help: ArgumentHelp(
            "A T2I-Adapter that goes with the model: a diffusers folder or a safetensors file. Repeat it for several, as "
                + "--control.", valueName: "folder or file"), completion: .file())
    var adapter: [String] = []

    @Option(
        name: .customLong("t2i-adapter-image"),
        help: ArgumentHelp(
            "Its map, or the picture that it is made from, PNG or JPEG (default: the photograph).", valueName: "file"),
        completion: .file())
    var image: [String] = []

    @Option(
        name: .customLong("t2i-adapter-scale"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("How much it counts (default: 1).", valueName: "x"))
    var scale: [Double] = []

    @Option(
        name: .customLong("t2i-adapter-range"),
        help: ArgumentHelp("The part of the steps in which it acts (default: 0:1).", valueName: "a:b"))
    var range: [StepRange] = []

    @Option(
        name: .customLong("t2i-adapter-preprocess"),
        help: ArgumentHelp("How the picture becomes a map, as with --control (default: none).", valueName: "way"))
    var preprocess: [ControlSettings.Preprocessing] = []

    /// - Throws: `Failure.usage` when there are not as many values as adapters.
    func apply(to draft: inout JobDraft) throws {
        // Beside a recorded job's adapters the other options change these.
        let recorded = adapter.isEmpty ? draft.settings.t2iAdapters ?? [] : []
        var adapters = adapter.isEmpty ? recorded : adapter.map { T2IAdapterSettings(adapter: $0) }
        func set<Value>(_ values: [Value], _ name: String, _ body: (Int, Value) -> Void) throws {
            let given = try RepeatedOptions.values(
                values, "--t2i-adapter-\(name)", for: "--t2i-adapter", count: adapters.count)
            for (index, value) in given.enumerated() { if let value { body(index, value) } }
        }
        try set(image, "image") { adapters[$0].image = $1 }
        try set(scale, "scale") { adapters[$0].scale = $1 }
        try set(range, "range") { adapters[$0].range = $1 }
        try set(preprocess, "preprocess") { adapters[$0].preprocessing = $1 }
        draft.settings.t2iAdapters = adapters.isEmpty ? nil : adapters
    }
}
