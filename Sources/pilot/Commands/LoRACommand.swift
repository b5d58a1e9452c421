import ArgumentParser
import DiffusionModels
import Failures
import Foundation
import InpaintingJobs

/// What can be asked of a LoRA without a picture.
struct LoRACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lora", abstract: "Inspects LoRAs.", subcommands: [LoRAInspect.self])
}

/// `pilot lora inspect`
struct LoRAInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Checks a LoRA and prints its kind, ranks, modules and triggers, and whether it fits a model.",
        discussion: """
            Every tensor is read and checked, as before a job. Name, base model, triggers and tags are what the trainer \
            has written into the file.

              pilot lora inspect style.safetensors
              pilot lora inspect style.safetensors --model v1-5.safetensors --json
            """)

    @Argument(help: ArgumentHelp("A LoRA, safetensors.", valueName: "file"), completion: .file())
    var file: String

    @Option(
        help: ArgumentHelp("Find out whether it fits this model.", valueName: "folder or file"), completion: .file())
    var model: String?

    @OptionGroup var parts: ModelOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let lora = try LoRAFile(path: file)
        let targets = try model.map { try ModelDescription(parts.choice($0)).loraTargets }
        let figures = LoRAFigures(lora, model: model, targets)
        if json {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try Console.print(String(decoding: try encoder.encode(figures), as: UTF8.self))
        } else {
            try Console.print(LoRAReport(figures: figures).text)
        }
    }
}
