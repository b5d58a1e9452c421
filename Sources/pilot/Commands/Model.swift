import ArgumentParser

/// What can be asked of a model without a picture.
struct Model: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Inspects, converts, makes and measures models.",
        subcommands: [ModelInspect.self, ModelConvert.self, ModelInit.self, ModelBenchmark.self])
}
