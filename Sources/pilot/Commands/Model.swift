import ArgumentParser

/// What can be asked of a model folder without a picture.
struct Model: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Inspects, makes and measures model folders.",
        subcommands: [ModelInspect.self, ModelInit.self, ModelBenchmark.self])
}
