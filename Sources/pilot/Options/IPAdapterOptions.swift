import ArgumentParser
import DiffusionModels
import Failures
import InpaintingJobs

extension IPAdapterSettings.Fit: ExpressibleByArgument {}

/// The IP-Adapters, each with its picture; every option but the encoder repeats, the k-th value for the k-th adapter.
struct IPAdapterOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "An IP-Adapter that goes with the model, a safetensors file, which shows the network a picture beside the prompt; "
                + "or scenes-picture, which comes with the program, for scenes. Repeat it for several, as --control.",
            valueName: "file"), completion: .file())
    var ipAdapter: [String] = []

    @Option(help: ArgumentHelp("The picture that it shows, PNG or JPEG.", valueName: "file"), completion: .file())
    var ipAdapterImage: [String] = []

    @Option(
        parsing: .unconditionalSingleValue, help: ArgumentHelp("How much it counts (default: 1).", valueName: "x"))
    var ipAdapterScale: [Double] = []

    @Option(
        help: ArgumentHelp(
            "How the picture becomes a square: crop, which takes its middle, or squash (default: crop).",
            valueName: "way"))
    var ipAdapterFit: [IPAdapterSettings.Fit] = []

    @Option(
        help: ArgumentHelp(
            "The image encoder's folder, one for all (default: image_encoder beside the adapter, else in the model).",
            valueName: "folder"), completion: .directory)
    var imageEncoder: String?

    /// Pictures may be said later, by the lines of a batch.
    ///
    /// - Throws: `Failure.usage` when there are not as many values as adapters.
    func apply(to draft: inout JobDraft) throws {
        // Beside a recorded job's adapters the other options change these.
        let recorded = ipAdapter.isEmpty ? draft.settings.ipAdapters ?? [] : []
        var adapters =
            ipAdapter.isEmpty ? recorded : ipAdapter.map { IPAdapterSettings(adapter: $0, image: "") }
        func set<Value>(_ values: [Value], _ name: String, _ body: (Int, Value) -> Void) throws {
            let given = try RepeatedOptions.values(
                values, "--ip-adapter-\(name)", for: "--ip-adapter", count: adapters.count)
            for (index, value) in given.enumerated() { if let value { body(index, value) } }
        }
        try set(ipAdapterImage, "image") { adapters[$0].image = $1 }
        try set(ipAdapterScale, "scale") { adapters[$0].scale = $1 }
        try set(ipAdapterFit, "fit") { adapters[$0].fit = $1 }
        draft.settings.ipAdapters = adapters.isEmpty ? nil : adapters
        if let imageEncoder { draft.settings.imageEncoder = imageEncoder }
    }
}
