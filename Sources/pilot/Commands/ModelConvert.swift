import ArgumentParser
import DiffusionModels
import Failures
import Foundation
import InpaintingJobs

/// `pilot model convert`
struct ModelConvert: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Writes a model in another layout: a folder from a single file, or a single file from a folder.",
        discussion: """
            Weights keep their bits, unless --dtype says another format; every tensor is checked as before a job. What \
            no picture depends on, such as a training's averages, is left out.

              pilot model convert v1-5.safetensors --output v1-5
              pilot model convert v1-5 --output v1-5-small.safetensors --dtype float16
            """)

    @Argument(
        help: ArgumentHelp(
            "A Stable Diffusion 1.x or 2.x model, a folder in the diffusers layout or a single file.",
            valueName: "folder or file"))
    var model: String

    @OptionGroup var parts: ModelOptions

    @Option(help: "The format in which weights are stored (default: that of each tensor).")
    var dtype: WeightFormat?

    @Option(
        help: ArgumentHelp(
            "What to make, which must not be there yet: a single file if the name ends in .safetensors, else a folder.",
            valueName: "folder or file"))
    var output: String

    func validate() throws {
        let pickles = [".ckpt", ".pt", ".pth", ".bin"]
        if let suffix = pickles.first(where: { output.hasSuffix($0) }) {
            throw ValidationError("--output \(output): \(suffix) is pickle's; a single file is a .safetensors")
        }
    }

    func run() throws {
        guard !FileManager.default.fileExists(atPath: output) else {
            throw Failure.usage("--output \(output): is there already; name one that is not")
        }
        let description = try ModelDescription(parts.choice(model))
        let scheduler = try description.scheduler(warn: Console.warn).configuration
        let conversion = try ModelConversion(
            description.files, scheduler: scheduler, elementType: dtype?.stored)
        if output.hasSuffix(".safetensors") {
            try conversion.writeSingleFile(to: output)
            let clip = try ProgramFiles.clip()
            if let difference = try description.files.differenceToFamily(scheduler: scheduler, clip: clip) {
                Console.note(
                    "a single file says no configuration, and \(difference); use it with --model-config "
                        + "\(parts.modelConfig ?? model)")
            }
        } else {
            try conversion.writeFolder(to: output)
        }
        try Console.print("\(output): \(model), \(dtype?.rawValue ?? "with its weights' own formats")")
    }
}
