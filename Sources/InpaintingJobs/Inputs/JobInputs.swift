import DiffusionModels
import Failures
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
    /// M: what is repainted of the picture, at its size.
    let pictureMask: BinaryMask
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
        var fingerprints: [String: String] = [:]
        func decoded(_ file: JobFile) throws -> DecodedImage {
            let (bytes, fingerprint) = try file.contents(repeating: recorded)
            fingerprints[file.path] = fingerprint
            return try DecodedImage.decode(bytes, path: file.name)
        }
        let image = try decoded(.image(settings))
        let painted = try JobFile.mask(settings).map(decoded)
        let (grey, maskWarnings) = try Self.mask(painted, of: image)
        let geometry = try JobGeometry(
            photograph: PictureSize(width: image.width, height: image.height), asked: settings.size,
            model: model.sizes)
        let colours = image.colours
        var warnings =
            image.warnings + image.photographWarnings + maskWarnings
            + [colours.warning(about: settings.image), geometry.warning].compactMap { $0 }
        let size = geometry.picture
        self.geometry = geometry
        self.colours = colours
        metadata = image.metadata
        photograph = image.rgb
        picture = colours.toSRGB(
            geometry.photograph == size ? photograph : photograph.resized(width: size.width, height: size.height))
        mask = settings.mask(grey)
        // What is covered is told by the photograph's own pixels: thin parts may be lost in a smaller picture.
        let covers = settings.method.maskDownsample == .max
        if covers, size.width <= mask.width, size.height <= mask.height {
            pictureMask = mask.covering(size)
        } else {
            pictureMask =
                geometry.photograph == size ? mask : mask.resized(width: size.width, height: size.height)
        }
        if ShippedModel.isMeant(by: settings.model) {
            let likeness = SceneLikeness(picture, mask: pictureMask, photograph: geometry.photograph)
            warnings += [likeness.warning(about: settings.image)].compactMap { $0 }
        }
        self.warnings = warnings
        let fits = geometry.latentWidth <= mask.width && geometry.latentHeight <= mask.height
        latentMask = LatentMask(
            covers && fits ? mask : pictureMask, height: geometry.latentHeight, width: geometry.latentWidth,
            downsample: settings.method.maskDownsample)
        let shape = [vae.latentChannels, geometry.latentHeight, geometry.latentWidth]
        initialLatent = try JobFile.initialLatent(settings).map { file in
            fingerprints[file.path] = try file.fingerprint(repeating: recorded)
            return try InitialLatentFile.read(file.path, shape: shape)
        }
        self.fingerprints = fingerprints
    }

    /// What was painted as the photograph's mask, at its size, and what the user should hear of it.
    ///
    /// - Parameter painted: nil for the photograph's own alpha channel.
    private static func mask(
        _ painted: DecodedImage?, of image: DecodedImage
    ) throws -> (GreyImage, warnings: [String]) {
        guard let painted else {
            guard let mask = image.transparencyMask else {
                throw Failure.badData(
                    "--mask \(JobSettings.maskInAlpha): \(image.path) has no alpha channel, where what is transparent "
                        + "would be repainted; a file of that name is ./\(JobSettings.maskInAlpha)")
            }
            return (mask, [])
        }
        let read = painted.paintedMask
        let (grey, resizing) = try painted.fitted(read.grey, toWidth: image.width, height: image.height)
        let likeness = read.isInAlpha ? nil : painted.likenessWarning(asMaskOf: image)
        return (grey, painted.warnings + [read.warning, likeness, resizing].compactMap { $0 })
    }

    /// x_in (1 - M), planes `[3, height, width]` in [-1, 1]: the picture, mid-grey where it is repainted.
    var maskedPlanes: [Float] {
        var planes = picture.planes
        let count = pictureMask.values.count
        for index in planes.indices where pictureMask.values[index % count] == 1 { planes[index] = 0 }
        return planes
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
    /// - Throws: `Failure` if a file is not there or too large.
    static func fingerprints(of settings: JobSettings) throws -> [String: String] {
        var found: [String: String] = [:]
        for file in JobFile.all(of: settings) { found[file.path] = try file.fingerprint(repeating: nil) }
        return found
    }
}

extension BinaryMask {
    /// The mask at a smaller size, where a pixel is repainted if it covers one that is, in part or whole.
    fileprivate func covering(_ size: PictureSize) -> BinaryMask {
        let smaller = LatentMask(self, height: size.height, width: size.width, downsample: .max)
        return BinaryMask(width: size.width, height: size.height, values: smaller.values.map { UInt8($0) })
    }
}

extension LatentMask {
    fileprivate init(_ mask: BinaryMask, height: Int, width: Int, downsample: PilotParameters.MaskDownsample) {
        self.init(
            pixels: mask.values.map { $0 == 1 }, imageHeight: mask.height, imageWidth: mask.width, height: height,
            width: width, downsample: downsample)
    }
}
