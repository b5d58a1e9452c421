import DiffusionModels
import Failures
import Foundation
import ImageFiles
import PilotInpainting

/// The files of a job, read, checked and brought to its size.
struct JobInputs: Sendable {
    /// The photograph as it is in its file.
    let photograph: RGBImage
    /// What is repainted of it, at its own size.
    let mask: BinaryMask
    /// What goes with the photograph into the result's file.
    let metadata: PictureMetadata
    /// How the photograph's colours become those that networks know, and back.
    let colours: ColourConversion
    let geometry: JobGeometry
    /// The photograph in sRGB, at the size that the networks see.
    let picture: RGBImage
    let latentMask: LatentMask
    /// The latent to start from, if the user gives one; otherwise noise.
    let initialLatent: Latent?
    /// Of every file, by the name that the user gave.
    let fingerprints: [String: String]
    /// Things that did not prevent the reading but that the user should hear of; one line each.
    let warnings: [String]

    /// - Parameter recorded: the job that is repeated, if one is: files under the names it gives must not have changed.
    /// - Throws: `Failure` naming the file or the option.
    init(_ settings: JobSettings, model: ModelDescription, repeating recorded: JobRecord?) throws {
        let vae = model.vaeConfiguration
        fingerprints = try Self.fingerprints(of: settings, repeating: recorded)
        let image = try DecodedImage.read(settings.image)
        let painted = try DecodedImage.read(settings.mask)
        let (grey, resizing) = try painted.mask(forWidth: image.width, height: image.height)
        let geometry = try JobGeometry(
            photograph: PictureSize(width: image.width, height: image.height), asked: settings.size,
            model: model.sizes)
        let colours = image.colours
        var warnings =
            image.warnings + painted.warnings + image.photographWarnings
            + [
                colours.warning(about: settings.image), painted.maskWarning, painted.likenessWarning(asMaskOf: image),
                resizing, geometry.warning,
            ].compactMap { $0 }
        let size = geometry.picture
        self.geometry = geometry
        self.colours = colours
        metadata = image.metadata
        photograph = image.rgb
        picture = colours.toSRGB(
            geometry.photograph == size ? photograph : photograph.resized(width: size.width, height: size.height))
        func binary(_ grey: GreyImage) -> BinaryMask {
            settings.invertsMask ? grey.binaryMask().inverted : grey.binaryMask()
        }
        mask = binary(grey)
        let pictureMask = binary(
            geometry.photograph == size ? grey : grey.resized(width: size.width, height: size.height, filter: .nearest))
        if ShippedModel.isMeant(by: settings.model) {
            let likeness = SceneLikeness(picture, mask: pictureMask, photograph: geometry.photograph)
            warnings += [likeness.warning(about: settings.image)].compactMap { $0 }
        }
        self.warnings = warnings
        // What a cell covers is told by the photograph's own pixels: thin parts may be lost in a smaller picture.
        let isCovering = settings.method.maskDownsample == .max
        let fits = geometry.latentWidth <= mask.width && geometry.latentHeight <= mask.height
        latentMask = LatentMask(
            isCovering && fits ? mask : pictureMask, height: geometry.latentHeight, width: geometry.latentWidth,
            downsample: settings.method.maskDownsample)
        let shape = [vae.latentChannels, geometry.latentHeight, geometry.latentWidth]
        initialLatent = try settings.initialLatent.map { try InitialLatentFile.read($0, shape: shape) }
    }

    /// What to say when there is nothing to do.
    var explanationOfEmptyMask: String {
        mask.repaintedCount == 0
            ? "the mask has nothing to repaint: the result is the image as it is"
            : "the mask's \(mask.repaintedCount) pixels fall between the latent's cells, so that nothing is repainted: the "
                + "result is the image as it is; --mask-downsample max repaints each cell that the mask touches"
    }

    /// Of every file that the job reads, by the name that the user gave.
    ///
    /// - Throws: `Failure` if a file is not there, or has changed since it was recorded.
    static func fingerprints(
        of settings: JobSettings, repeating recorded: JobRecord?
    ) throws -> [String: String] {
        let files =
            [("--image", settings.image), ("--mask", settings.mask)]
            + (settings.initialLatent.map { [("--initial-latent", $0)] } ?? [])
        var found: [String: String] = [:]
        for (option, path) in files {
            let expected = recorded?.fingerprints[path]
            guard FileManager.default.fileExists(atPath: path) else {
                let advice = expected == nil ? "" : ", the file of the recorded job; name it with \(option)"
                throw Failure.missingInput("\(option) \(path): no such file\(advice)")
            }
            // Folders, devices and what may not be read are for the decoders to refuse, by their kind.
            guard let fingerprint = Fingerprint.ofFile(path) else { continue }
            found[path] = fingerprint
            if let expected, expected != fingerprint {
                throw Failure.badData(
                    "\(option) \(path): has changed since the recorded job was run (its contents have the hash "
                        + "\(fingerprint), then \(expected)); bring the old file back, or copy the new one and name the "
                        + "copy with \(option)")
            }
        }
        return found
    }
}

extension LatentMask {
    fileprivate init(_ mask: BinaryMask, height: Int, width: Int, downsample: PilotParameters.MaskDownsample) {
        self.init(
            pixels: mask.values.map { $0 == 1 }, imageHeight: mask.height, imageWidth: mask.width, height: height,
            width: width, downsample: downsample)
    }
}
