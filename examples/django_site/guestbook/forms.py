from django import forms

from guestbook.models import Entry


class EntryForm(forms.ModelForm):
    """The form on the page."""

    class Meta:
        model = Entry
        fields = ["name", "message"]
        widgets = {"message": forms.Textarea(attrs={"rows": 3})}
