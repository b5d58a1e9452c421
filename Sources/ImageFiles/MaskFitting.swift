import Failures

extension DecodedImage {
    /// A mask that is in this picture as that of a photograph of the given sides, and what to tell the user if it had to
    /// be resized.
    ///
    /// A mask of another size is brought to the photograph's by `nearest`, so that it gains no intermediate values,
    /// provided it has the same aspect: that is, if the sides of the smaller of the two are half a pixel off at most.
    /// - Throws: `Failure.badData` if the aspects differ.
    public func fitted(
        _ grey: GreyImage, toWidth photographWidth: Int, height photographHeight: Int
    ) throws -> (GreyImage, warning: String?) {
        if width == photographWidth && height == photographHeight { return (grey, nil) }
        let sizes = "the mask has \(width) x \(height) pixels, the image \(photographWidth) x \(photographHeight)"
        guard hasAspect(ofWidth: photographWidth, height: photographHeight) else {
            throw Failure.badData("\(path): \(sizes), another aspect; give a mask of the image's size")
        }
        let resized = grey.resized(width: photographWidth, height: photographHeight, filter: .nearest)
        return (resized, "\(path): \(sizes); the mask is resized")
    }

    /// What to tell the user of a picture that is stretched to another aspect: more than half a pixel of the smaller's
    /// side.
    public func fittingWarning(width newWidth: Int, height newHeight: Int) -> String? {
        guard !hasAspect(ofWidth: newWidth, height: newHeight) else { return nil }
        return
            "\(path): has \(width) x \(height) pixels, another aspect than the job's \(newWidth) x \(newHeight): it is "
            + "stretched to them"
    }

    /// Whether the sides of the smaller of the two are half a pixel off at most.
    private func hasAspect(ofWidth otherWidth: Int, height otherHeight: Int) -> Bool {
        let skew = abs(width * otherHeight - height * otherWidth)
        return 2 * skew <= max(width, otherWidth) + max(height, otherHeight)
    }
}
