import ArgumentParser
import Failures
import Foundation

/// What is painted: model, picture, mask, words.
struct InputOptions: ParsableArguments {
    /// Names a model folder for all jobs that name none.
    static let modelVariable = "PILOT_MODEL"

    @Option(
        help: ArgumentHelp(
            "Stable Diffusion 1.x or 2.x model in the diffusers layout, safetensors (default: the folder that the "
                + "environment variable PILOT_MODEL names).", valueName: "folder"))
    var model: String?

    @Option(help: ArgumentHelp("The photograph, PNG or JPEG.", valueName: "file"))
    var image: String?

    @Option(help: ArgumentHelp("The mask, PNG or JPEG: white is repainted, black is kept.", valueName: "file"))
    var mask: String?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("What is to be seen where the mask is white.", valueName: "text"))
    var prompt: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("What is not to be seen there.", valueName: "text"))
    var negativePrompt: String?

    @Flag(inversion: .prefixedNo, help: "Repaint black and keep white.")
    var invertMask: Bool?

    @Option(
        help: ArgumentHelp(
            "Repeat the job that wrote this PNG; options given beside it replace the recorded ones.",
            valueName: "result.png"))
    var from: String?

    @Option(
        help: ArgumentHelp(
            "Size at which the networks see the picture; the result has the image's size in any case (default: the "
                + "image's size, rounded down to a multiple of 8, or of the model's own factor).", valueName: "WxH"))
    var size: PictureSize?

    @Option(
        help: ArgumentHelp(
            "Start from this latent and not from the seed's noise: safetensors, tensor initial_latent [4,h,w].",
            valueName: "file"))
    var initialLatent: String?

    /// The settings of the job, as far as these options and the recorded ones decide them.
    ///
    /// - Throws: `Failure.usage` if one that is needed is missing.
    func settings(startingFrom recorded: JobSettings?) throws -> JobSettings {
        func needed(_ value: String?, _ option: String) throws -> String {
            guard let value else { throw Failure.usage("\(option) is missing; see pilot inpaint --help") }
            return value
        }
        var settings =
            try recorded
            ?? JobSettings(
                model: "", image: needed(image, "--image"), mask: needed(mask, "--mask"),
                prompt: needed(prompt, "--prompt"))
        settings.model = try chosenModel(recorded)
        if let image { settings.image = image }
        if let mask { settings.mask = mask }
        if let prompt { settings.prompt = prompt }
        if let negativePrompt { settings.negativePrompt = negativePrompt }
        if let invertMask { settings.invertsMask = invertMask }
        if let size { settings.size = size }
        if let initialLatent { settings.initialLatent = initialLatent }
        return settings
    }

    private func chosenModel(_ recorded: JobSettings?) throws -> String {
        if let model = model ?? recorded?.model { return model }
        if let model = ProcessInfo.processInfo.environment[Self.modelVariable], !model.isEmpty { return model }
        throw Failure.usage(
            "--model is missing, and \(Self.modelVariable) names none; to try the program with random weights, make a "
                + "model: pilot model init --architecture tiny --seed 0 --output tiny-model")
    }
}
