import ArgumentParser
import Foundation
import InpaintingJobs
import TensorKernels

/// `pilot model inspect`
struct ModelInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Checks a model and prints what it holds and what a pass costs.",
        discussion: """
            Of a single file it tells the family, what the network predicts and how that is known, which parts are \
            missing, and which tensors are ignored. Every key and shape of the three networks, the tokenizer and the \
            scheduler are checked as they are before a job. Operations are counted from the shapes, a multiplication \
            and an addition as two.
            """)

    @Argument(
        help: ArgumentHelp(
            "A Stable Diffusion 1.x or 2.x model, a folder in the diffusers layout or a single file; without it, as for "
                + "pilot inpaint.", valueName: "folder or file"), completion: .file())
    var model: String?

    @OptionGroup var parts: ModelOptions

    @Option(help: "The picture's size for operations and memory; without it, the size that the model was trained at.")
    var size: PictureSize?

    @Option(help: "The format of the UNet's weights and activations in memory.")
    var dtype: ElementType = .float32

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let model = try ModelDescription(parts.choice(model))
        let figures = try ModelFigures(model, size: size, elementType: dtype)
        if json {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try Console.print(String(decoding: try encoder.encode(figures), as: UTF8.self))
        } else {
            try Console.print(ModelReport(figures: figures).text)
        }
    }
}
